"""A vendor is data: a wire, an address, a signature. No I/O here; the one client does it for all of them.

A provider's file exposes `provider`, and its name is what stands before the slash in a target.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlaas_lab.errors import (
    AuthFailed,
    CallError,
    ContentFiltered,
    InvalidRequest,
    NotFound,
    Overloaded,
    ProviderBug,
    QuotaExceeded,
    RateLimited,
    TimedOut,
)
from mlaas_lab.schema import Target
from mlaas_lab.signing import Sign
from mlaas_lab.wires import Fault, Wire


class Address(Protocol):
    """Where a target is prompted; a function where that depends on the target."""

    def __call__(self, target: Target, *, stream: bool) -> str:
        """The URL."""


STATUSES: Mapping[int, type[CallError]] = {
    401: AuthFailed,
    402: QuotaExceeded,
    403: AuthFailed,
    404: NotFound,
    408: TimedOut,
    409: Overloaded,
    425: Overloaded,
    429: RateLimited,
}
"""HTTP statuses that mean something of their own; other 4xx are our request's fault, 5xx the vendor's."""

CODES: Mapping[str, type[CallError]] = {
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "insufficient_quota": QuotaExceeded,
    "invalid_api_key": AuthFailed,
    "model_not_found": NotFound,
    "rate_limit_exceeded": RateLimited,
}
"""Codes that many vendors share; they win over the status."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where a vendor lives, how it signs, which wire it speaks."""

    wire: Wire
    url: str | Address = ""
    sign: Sign | None = None
    codes: Mapping[str, type[CallError]] = field(default_factory=dict)
    """The vendor's own error codes; they win over CODES."""
    params: tuple[str, ...] = ()
    """Parameters of a target that `url` reads, besides those that every target may have."""
    reply: Callable[[bytes], Iterator[bytes]] | None = None
    """Answers a request body in this process, in the wire's form, instead of anything over HTTP."""

    def address(self, target: Target, *, stream: bool) -> str:
        """The URL that `target` is prompted at."""
        return self.url if isinstance(self.url, str) else self.url(target, stream=stream)

    def error(self, fault: Fault, status: int) -> type[CallError]:
        """What kind of error `fault`, under HTTP status `status`, is."""
        code = fault.code or ""
        if found := self.codes.get(code) or CODES.get(code):
            return found
        status = fault.status or status
        if found := STATUSES.get(status):
            return found
        if 400 <= status < 500:
            return InvalidRequest
        return Overloaded if status >= 500 else ProviderBug
