"""A vendor is data: a wire, an address, a signature. No I/O here; the one client does it for all of them.

A provider's file exposes `provider`, and its name is what stands before the slash in a target.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from mlaas_lab import CommandToo
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
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing import Sign
from mlaas_lab.wires import Fault, Wire


class Address(Protocol):
    """Where a target is prompted; a function where that depends on the target."""

    def __call__(self, target: Target, *, stream: bool) -> str:
        """The URL of a target with every parameter filled in; its `base_url`, if there is one, stands in front."""


STATUSES: Mapping[int, type[CallError]] = {
    401: AuthFailed,
    402: QuotaExceeded,
    403: AuthFailed,
    404: NotFound,
    408: TimedOut,
    409: Overloaded,
    425: Overloaded,
    429: RateLimited,
    450: Overloaded,
}
"""HTTP statuses that mean something of their own; other 4xx are our request's fault, 5xx the vendor's.

450 is no standard: a gateway (PAI-EAS) says by it that the server's queue is full.
"""

CODES: Mapping[str, type[CallError]] = {
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "insufficient_quota": QuotaExceeded,
    "invalid_api_key": AuthFailed,
    "model_not_found": NotFound,
    "rate_limit_exceeded": RateLimited,
}
"""Codes that many vendors share; they win over the status."""

WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""A parameter that becomes part of a host's name or a path: nothing that could lead elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A word of a target that an address, a body or a signature reads: `?region=eu-central-1`."""

    name: str
    about: str
    """What it says, in a few words."""
    example: str
    env: tuple[str, ...] = ()
    """Environment variables that give it where the target does not; the first that is set."""
    default: str | None = None
    required: bool = False
    """Without it, nobody can be asked."""
    pattern: str = WORD
    """Regular expression that the whole value must match."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """One way into a vendor: a wire, an address, a signature."""

    wire: Wire
    wire_at: Callable[[Target], Wire] | None = None
    """The wire as the server of a target speaks it, where servers differ; `wire` is then the vendor's own."""
    url: str | Address = ""
    sign: Sign | tuple[Sign, ...] = ()
    """Of several, the first whose keys are set."""
    fields: Callable[[Target], Mapping[str, JSON]] = lambda _target: {}
    """What the body holds besides what the wire writes."""
    headers: Callable[[Target], Mapping[str, str]] = lambda _target: {}
    """What every request says besides its signature."""
    stream_headers: Mapping[str, str] = field(default_factory=dict)
    """What a request for a stream says besides, where a header and not the body asks for one."""
    whole_headers: Mapping[str, str] = field(default_factory=dict)
    """What a request for an answer in one piece says besides, where a header asks to wait for it."""
    codes: Mapping[str, type[CallError]] = field(default_factory=dict)
    """The vendor's own error codes; they win over CODES. `A` stands for `A.B` too, unless that has its own."""
    streams: bool = True
    """Answers can be had piece by piece."""
    checked: str = ""
    """What its contract was checked against: `SDK`, `specification`, `example` or `documentation`, and which."""

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The signatures, in the order in which they are tried."""
        return self.sign if isinstance(self.sign, tuple) else (self.sign,)

    def address(self, target: Target, *, stream: bool) -> str:
        """The URL that `target` is prompted at."""
        return self.url if isinstance(self.url, str) else self.url(target, stream=stream)

    def spoken_at(self, target: Target) -> Self:
        """This way in, with the wire as the server of `target`, every parameter filled in, speaks it."""
        return self if self.wire_at is None else replace(self, wire=self.wire_at(target))

    def error(self, fault: Fault, status: int) -> type[CallError]:
        """What kind of error `fault`, under HTTP status `status`, is."""
        code = fault.code or ""
        while code:
            if found := self.codes.get(code) or CODES.get(code):
                return found
            code = code.rpartition(".")[0]
        status = fault.status or status
        if found := STATUSES.get(status):
            return found
        if 400 <= status < 500:
            return InvalidRequest
        return Overloaded if status >= 500 else ProviderBug


@dataclass(frozen=True, kw_only=True)
class Provider(Api):
    """A vendor: its first way in, the others by name (`?api=native`), and what a user must know of it."""

    title: str
    """The vendor's name for it."""
    semconv: str = ""
    """OpenTelemetry's `gen_ai.provider.name`, where it has one; else the provider's own name is used."""
    apis: Mapping[str, Api] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    regions: tuple[str, ...] = ()
    """Those that were known when this was written; others are tried as they are."""
    hosts: tuple[str, ...] = ()
    """Ends of host names that its key may go to besides the host of its own address."""
    emulator: str = ""
    """Which emulator speaks for it; empty: that of its own name."""
    reply: Callable[[bytes], Iterator[bytes]] | None = None
    """Answers a request body in this process, in the wire's form, instead of anything over HTTP."""


def at(target: Target, host: str, path: str) -> str:
    """`path` at the target's own `base_url`, or else at `host`, both without a slash at the end."""
    return (target.get("base_url") or host).rstrip("/") + path


def region(*env: str, default: str | None = None, example: str, required: bool = True) -> Parameter:
    """The parameter `region`, from the target or one of `env`."""
    return Parameter(
        name="region",
        about="where it is asked",
        env=env,
        default=default,
        example=example,
        required=required and default is None,
    )


sys.modules[__name__].__class__ = CommandToo
