"""How a request proves who sends it. Keys are read when the request leaves, and stay nowhere else.

Whether a request may be signed at all, because it goes to the key's own host, is the client's business.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mlaas_lab.environment import KEY_FILES, secret
from mlaas_lab.errors import AuthFailed
from mlaas_lab.schema import Target

Keys = Callable[[str], str]
"""The secret that an environment variable of this name holds; raises AuthFailed where there is none."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is about to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    target: Target = field(default_factory=lambda: Target(model="any"))
    """With every parameter filled in, such as the region that a signature covers."""
    at: float = 0.0
    """When it leaves, UTC seconds since 1970."""
    token: str = ""
    """What the signature's exchange gave."""


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A request that gives a token for keys."""

    url: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What it holds besides keys that nobody may see, should the answer repeat it."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """What came back."""

    value: str
    lasts_s: float
    """Seconds from now until it expires."""


@dataclass(frozen=True, kw_only=True)
class TokenExchange:
    """Keys for a token that expires: the client performs it, once for many calls, and again before the end."""

    request: Callable[[Target, Keys, float], TokenRequest]
    """Of a target with every parameter filled in, at a time in UTC seconds since 1970."""
    read: Callable[[bytes], Token]
    """The token in the answer's body.

    Raises LookupError, TypeError or ValueError if there is none.
    """


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A signature: the headers it adds, and whose keys it reads."""

    keys: tuple[str, ...]
    """Environment variables with the secrets; their values are blanked wherever text is shown."""
    headers: Callable[[Request, Keys], dict[str, str]]
    optional: tuple[str, ...] = ()
    """Further ones, read where they are set."""
    library: str = ""
    """Module that it needs and that takes long to import: it is there before the first request is timed."""
    exchange: TokenExchange | None = None
    query: Callable[[Request, Keys], str] | None = None
    """What it adds to the URL's query, percent-encoded, for vendors that want their token there."""

    @property
    def ready(self) -> bool:
        """All keys are set; whether they are right is another matter."""
        return all(secret(name) for name in self.keys)


def bearer(name: str, *, header: str = "Authorization", scheme: str = "Bearer ") -> Sign:
    """`Authorization: Bearer` with the key in environment variable `name`, or another header and scheme."""
    return Sign(keys=(name,), headers=lambda _request, keys: {header: f"{scheme}{keys(name)}"})


def key(name: str) -> str:
    """The secret in environment variable `name`.

    Raises:
        AuthFailed: if it is not set, or cannot stand in a header.
    """
    value = (secret(name) or "").strip()
    if not value:
        raise AuthFailed(f"{name} is not set.", next=f"Put the key in environment variable {name}.")
    if name not in KEY_FILES and not (value.isascii() and value.isprintable()):
        raise AuthFailed(f"{name} holds characters that no key has.", next=f"Set {name} to the key alone.")
    return value


SHORTEST = 4
"""Characters of a secret; anything shorter keeps no door, and blanking it would tear words apart."""


def blanked(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`."""
    for value in secrets:
        if len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return text
