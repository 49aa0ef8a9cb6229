"""The server of a dashboard: loopback and a token, or a login; its own scripts alone, nothing from elsewhere."""

import ipaddress
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlaas_lab import registry
from mlaas_lab.environment import REVIEW_KEY, given
from mlaas_lab.errors import DataError, UsageError

HOST = "127.0.0.1"
TOKEN_BYTES = 32
ENTRANCE = Path(__file__).with_name("entrance.html")
OAUTH = ("PANEL_OAUTH_KEY", "PANEL_OAUTH_SECRET")
"""Where a provider's client id and secret come from."""
NOT_OAUTH = ("pam", "password")
"""What the library has under the same name, and asks for a password itself."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who may come in."""

    basic: Path | None = None
    """JSON of names and passwords."""
    oauth: str | None = None
    """Name of a provider; its key and secret come from the environment."""
    people: tuple[str, ...] = ()
    """Of those whom the provider knows, who may come in: names or addresses, `@example.com` for a whole domain."""
    token: str = field(default="", repr=False)
    """What the address must say where nobody signs in."""

    @property
    def asked(self) -> bool:
        """Whether anybody is asked."""
        return self.basic is not None or self.oauth is not None


def login(said: str | None, people: tuple[str, ...] = ()) -> Login:
    """What `basic:FILE` or `oauth:PROVIDER` says, the latter for `people` alone.

    Raises:
        UsageError: if it says neither, the file cannot be used, or a provider would let in everybody or nobody.
    """
    if people and not (said or "").startswith("oauth:"):
        raise UsageError("--people says whom --auth oauth:PROVIDER lets in.", next="basic:FILE names people itself.")
    if said is None:
        return Login(token=given(REVIEW_KEY) or secrets.token_urlsafe(TOKEN_BYTES))
    kind, _, value = said.partition(":")
    if kind == "basic" and value:
        return Login(basic=_passwords(Path(value).expanduser()))
    if kind == "oauth" and value:
        return _provider(value, people)
    raise UsageError(f"--auth {said!r} is neither basic:FILE nor oauth:PROVIDER.")


def _passwords(path: Path) -> Path:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        open_to_all = path.stat().st_mode & 0o077
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "is not JSON"
        raise UsageError(f"--auth basic:{path}: {reason}.", next='It holds {"name": "password", …}.') from None
    if not isinstance(known, dict) or not known or not all(isinstance(one, str) and one for one in known.values()):
        raise UsageError(f"--auth basic:{path} names nobody.", next='It holds {"name": "password", …}.')
    if open_to_all:
        raise UsageError(f"--auth basic:{path}: others can read these passwords.", next=f"chmod 600 {path}")
    return path


def _provider(name: str, people: tuple[str, ...]) -> Login:
    if not people:
        raise UsageError(
            f"--auth oauth:{name} alone would let in everybody who has an account there.",
            next="Add --people ada@example.com, or --people @example.com for all of a domain.",
        )
    if missing := [one for one in OAUTH if not given(one)]:
        raise UsageError(
            f"--auth oauth:{name} needs {' and '.join(missing)} in the environment.",
            next="The provider gives them to who registers the dashboard's address there.",
        )
    return Login(oauth=name, people=people)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check(address: str, port: int, who: Login) -> None:
    """See that this server may and can be.

    Raises:
        UsageError: if others would reach it without a login, or nobody knows the provider.
        DataError: if the port or the address cannot be had.
        MissingExtra: if the library that serves it is not installed.
    """
    if not is_loopback(address) and not who.asked:
        raise UsageError(
            f"whoever reaches {address} could read and sign here.",
            next="Add --auth basic:FILE, or leave --address out.",
        )
    registry.resolve("panel")
    if who.oauth is not None:
        _known(who.oauth)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{address}:{port} cannot be had: {reason}.", next="Give another --port; without one, a free one is taken."
        ) from None


def _known(provider: str) -> None:
    from panel.auth import AUTH_PROVIDERS

    known = sorted(set(AUTH_PROVIDERS) - set(NOT_OAUTH))
    if provider not in known:
        raise UsageError(f"--auth oauth:{provider} is no provider.", next=f"There are {', '.join(known)}.")


def start(made: Callable[[], Any], *, title: str, address: str, port: int, who: Login, origins: tuple[str, ...]) -> Any:
    """A server that answers once its loop runs.

    Args:
        made: the page of a new session.
        title: of the browser's tab.
        address: where it listens.
        port: 0 takes a free one.
        who: who may come in.
        origins: hosts besides its own whose pages may speak with it, as `hub.example:443`.
    """
    import panel as pn

    from mlaas_lab.dashboard.door import Door, Guests

    port = port or _free(address)
    named = f"[{address}]" if ":" in address else address
    own = [f"{host}:{port}" for host in dict.fromkeys((named, "localhost", HOST))]
    # Without a login no page needs them, and what a page is given is written into it.
    asked: dict[str, Any] = {"include_headers": [], "include_cookies": []}
    if who.asked:
        # The library's own pages fetch pictures and letters from elsewhere.
        pages = dict.fromkeys(("login_template", "logout_template", "oauth_error_template"), str(ENTRANCE))
        asked = {"cookie_secret": secrets.token_hex(32), **pages}
    if who.basic is not None:
        asked["basic_auth"] = str(who.basic)
    if who.oauth is not None:
        asked["oauth_provider"] = who.oauth
    server = pn.io.server.get_server(
        made,
        port=port,
        address=address,
        websocket_origin=[*own, *origins],
        title=title,
        **asked,
    )
    days = pn.config.oauth_expiry
    door = Guests(asked["cookie_secret"], who.people, days=days) if who.asked else Door(who.token, port)
    door.guard(server._tornado)  # noqa: SLF001 - nothing else stands before its scripts too
    return server


def url(server: Any, who: Login) -> str:
    """Where it is, with what opens it."""
    host = server.address or HOST
    place = f"http://{f'[{host}]' if ':' in host else host}:{server.port}{server.prefix}/"
    return f"{place}?token={who.token}" if who.token else place


def on_own_loop(begin: Callable[[], Any]) -> Any:
    """A server on a new loop of this thread, which has none."""
    import asyncio

    asyncio.set_event_loop(asyncio.new_event_loop())
    server = begin()
    server.start()
    return server


def _free(address: str) -> int:
    """A port that nobody has; its origin must be known before it is listened at."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
