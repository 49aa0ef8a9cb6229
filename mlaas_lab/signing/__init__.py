"""How a request proves who sends it. Keys come from `settings.secret`, when the request leaves, and stay nowhere else.

Whether a request may be signed at all, because it goes to the key's own host, is the client's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlaas_lab.errors import AuthFailed
from mlaas_lab.settings import secret


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is about to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A signature: the headers it adds, and whose keys it reads."""

    keys: tuple[str, ...]
    """Environment variables with the secrets; their values are blanked wherever text is shown."""
    headers: Callable[[Request], dict[str, str]]


def bearer(name: str) -> Sign:
    """`Authorization: Bearer` with the key in environment variable `name`."""
    return Sign(keys=(name,), headers=lambda _request: {"Authorization": f"Bearer {key(name)}"})


def key(name: str) -> str:
    """The secret in environment variable `name`.

    Raises:
        AuthFailed: if it is not set, or cannot stand in a header.
    """
    value = (secret(name) or "").strip()
    if not value:
        raise AuthFailed(f"{name} is not set.", next=f"Put the key in environment variable {name}.")
    if not (value.isascii() and value.isprintable()):
        raise AuthFailed(f"{name} holds characters that no key has.", next=f"Set {name} to the key alone.")
    return value


def blanked(text: str, sign: Sign | None) -> str:
    """`text` without the secrets of `sign`."""
    for name in sign.keys if sign else ():
        value = (secret(name) or "").strip()
        if value:
            text = text.replace(value, "***")
    return text
