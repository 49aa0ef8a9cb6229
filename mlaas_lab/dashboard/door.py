"""Who comes in where nobody signs in: who has the address that the start printed.

Other users of the machine reach its loopback ports too. As with Jupyter, a token in the address keeps them out; the
first visit moves it into a cookie, so that from then on an address says where one is and nothing else. Where people do
sign in, the library asks them who they are, and `Guests` stands before what it would hand to anybody.
"""

import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import Application, RequestHandler, decode_signed_value

REFUSED = "This dashboard opens by its whole address, which was printed when it started and ends in ?token=…\n"
LOGOUT = "/logout"
UNKNOWN = "Sign in first.\n"
UNINVITED = "{} is not among those whom --people names. To sign in as somebody else, open {}.\n"
SCHEME = "Bearer "
USER = "user"
"""The cookie of who has signed in."""


class Door(Matcher):
    """Finds the requests that do not go through; before anything else of the server, its scripts included."""

    def __init__(self, token: str, port: int) -> None:
        """The cookie is named after the port, since cookies of one host are not told apart by it."""
        self.cookie = f"mlaas-review-{port}"
        self._token = token.encode()

    def guard(self, application: Application) -> None:
        """Stand before all that it serves."""
        application.add_handlers(r".*", [Rule(self, Entrance, {"door": self})])

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Nothing for who comes in; who still has the token in the address goes by the entrance."""
        return None if self.knows(request) and "token" not in request.query_arguments else {}

    def knows(self, request: HTTPServerRequest) -> bool:
        """Whether the token comes with it, in its cookie or as a program sends it."""
        kept = request.cookies.get(self.cookie)
        said = request.headers.get("Authorization", "")
        return self.is_token(kept.value if kept else "") or self.is_token(said.removeprefix(SCHEME))

    def is_token(self, given: str) -> bool:
        """Whether it is the token; how long that takes does not tell how much of it is right."""
        return hmac.compare_digest(given.encode(), self._token)


class Entrance(RequestHandler):
    """Lets in who has the token, once; everybody else is told what is missing."""

    def initialize(self, door: Door) -> None:
        """Of this door."""
        self._door = door

    def prepare(self) -> None:
        """Answer, whatever was asked for."""
        self.request.uri = self.request.path  # or logs would have the token
        token = self.get_query_argument("token", "")
        if self.request.method == "GET" and (self._door.is_token(token) or self._door.knows(self.request)):
            self._let_in(token)
            return
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(REFUSED)

    def _let_in(self, token: str) -> None:
        rest = [(name, one) for name in self.request.query_arguments for one in self.get_query_arguments(name)]
        query = urlencode([(name, one) for name, one in rest if name != "token"])
        if self._door.is_token(token):
            self.set_cookie(self._door.cookie, token, path="", httponly=True, samesite="Lax")
        self.set_header("Referrer-Policy", "no-referrer")
        self.redirect(f"./?{query}" if query else "./")


class Guests(Matcher):
    """Finds whom the library would let in and who is turned away.

    It lets everybody have its components, and imports whatever module the address names to look for one; and of a
    provider's users it lets in all.
    """

    def __init__(self, secret: str, people: Sequence[str] = (), *, days: float) -> None:
        """`secret` signs the library's cookies, which count for `days`; without `people` everybody may come in."""
        self._secret, self._days = secret, days
        self._people = {one.casefold() for one in people}

    def guard(self, application: Application) -> None:
        """Stand before the library's own routes."""
        application.add_handlers(r".*", [Rule(self, Turned)])

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Nothing for who may pass."""
        kept = request.cookies.get(USER)
        known = decode_signed_value(self._secret, USER, kept.value, max_age_days=self._days) if kept else None
        if known is None:
            return {"target_kwargs": {"said": UNKNOWN}} if "/components/" in request.path else None
        name = known.decode()
        if self._expects(name) or request.path == LOGOUT:
            return None
        return {"target_kwargs": {"said": UNINVITED.format(name, LOGOUT)}}

    def _expects(self, name: str) -> bool:
        folded = name.casefold()
        _, at, domain = folded.rpartition("@")
        return not self._people or folded in self._people or bool(at and f"@{domain}" in self._people)


class Turned(RequestHandler):
    """Says why somebody does not come in."""

    def initialize(self, said: str) -> None:
        """In one line."""
        self._said = said

    def prepare(self) -> None:
        """Answer, whatever was asked for."""
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._said)
