"""Who may ask: a program of this machine that names it as such and knows the token; never a page of another site.

A page can reach a loopback port under a name of its own (DNS rebinding), but then it names itself in Host; and a
browser says in Origin and Sec-Fetch-Site whose page it is.
"""

import hmac

from mlaas_lab.fronting.heads import Head
from mlaas_lab.fronting.refusals import Refused
from mlaas_lab.store.front import HOST

NAMES = (HOST, "localhost")


class Guard:
    """Checks each request before anything else of it is read."""

    def __init__(self, *, port: int, token: str) -> None:
        """`port` is part of the names by which the front may be called."""
        named = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        self._hosts = frozenset(name.encode() for name in named)
        self._origins = frozenset(f"http://{name}".encode() for name in named)
        self._token = token.encode()

    def check(self, head: Head) -> None:
        """Let a request through.

        Raises:
            Refused: if it is somebody else's.
        """
        fields = head.fields
        if fields[b"host"].lower() not in self._hosts:
            raise Refused(403, f"this address is {HOST}, and is not reached by another name.", code="wrong_host")
        page = fields.get(b"sec-fetch-site", b"none")
        if fields.get(b"origin") not in (None, *self._origins) or page not in (b"none", b"same-origin"):
            raise Refused(403, "pages of other sites may not ask here.", code="wrong_origin")
        if not (self._is_token(_bearer(fields.get(b"authorization"))) or self._is_token(fields.get(b"x-api-key"))):
            raise Refused(
                401, "the token is missing or wrong. `mlaas front` says where it stands.", code="invalid_api_key"
            )

    def _is_token(self, given: bytes | None) -> bool:
        return given is not None and hmac.compare_digest(given, self._token)


def _bearer(value: bytes | None) -> bytes | None:
    scheme, _, given = (value or b"").partition(b" ")
    return given.strip(b" ") if scheme.lower() == b"bearer" else None
