"""Why a request is not passed on, in the shape that the caller's library reads."""

import json
from http import HTTPStatus

MESSAGES = b"/v1/messages"
"""The one route whose callers expect another shape of errors."""
KINDS = {
    401: ("authentication_error", "authentication_error"),
    403: ("permission_error", "permission_error"),
    404: ("invalid_request_error", "not_found_error"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_error"),
    502: ("server_error", "api_error"),
    503: ("server_error", "overloaded_error"),
}
"""Status → kind of error in OpenAI's shape, and in that of messages."""


class Refused(Exception):
    """A request that gets this answer instead of an endpoint's."""

    def __init__(
        self, status: int, message: str, *, code: str, state: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """`state` is the endpoint's; `retry_after_s` goes with what may be better by then."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.state = state
        self.retry_after_s = retry_after_s

    def answer(self, path: bytes, *, closes: bool) -> bytes:
        """The whole answer, for a caller of `path`; `closes` says that the connection ends with it."""
        more = b"" if self.retry_after_s is None else b"retry-after: %d\r\n" % self.retry_after_s
        if self.status == HTTPStatus.UNAUTHORIZED:
            more += b"www-authenticate: Bearer\r\n"
        return answer(self.status, self._body(path), more=more, closes=closes)

    def _body(self, path: bytes) -> bytes:
        plain, messages = KINDS.get(self.status, ("invalid_request_error", "invalid_request_error"))
        state = {} if self.state is None else {"state": self.state}
        if path == MESSAGES:
            told = {"type": messages, "message": self.message, **state}
            return json.dumps({"type": "error", "error": told}).encode()
        error = {"message": self.message, "type": plain, "param": None, "code": self.code, **state}
        return json.dumps({"error": error}).encode()


def answer(status: int, body: bytes, *, more: bytes = b"", closes: bool = False) -> bytes:
    """An answer with a JSON body; `more` are whole header lines."""
    phrase = HTTPStatus(status).phrase.encode()
    ends = b"connection: close\r\n" if closes else b""
    head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncache-control: no-store\r\n" % (status, phrase)
    return b"%s%s%scontent-length: %d\r\n\r\n%s" % (head, more, ends, len(body), body)
