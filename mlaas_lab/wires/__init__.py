"""The shape of an API: how a prompt is written and how its answer is read. Sans-I/O: no socket, no clock, no key.

A wire's file exposes `wire`. The one client sends what `body` gives, feeds what arrives to a fresh `reader`, and does
the rest: timing, retries, errors.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mlaas_lab.errors import ContentFiltered
from mlaas_lab.schema import JSON, Message, Usage


@dataclass(frozen=True, kw_only=True)
class Params:
    """How an answer is to be sampled; None leaves it to the vendor."""

    max_tokens: int = 256
    """Always sent: some servers default to 16, others to 1,024."""
    temperature: float | None = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is asked of which model."""

    model: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text; what arrived together is one piece."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What is known once the answer is whole."""

    finish_reason: str | None
    usage: Usage
    model: str | None
    """The model that says it answered."""
    text: str = ""
    """What `feed` had not handed out: all of it, unless it was streamed."""
    response_id: str | None = None
    """The vendor's name for the answer, where its body has one."""


@dataclass(frozen=True, kw_only=True)
class Follow:
    """The answer is elsewhere, or not there yet: the client asks there by GET and feeds what comes to `reader`."""

    url: str
    """Only followed to the hosts that the provider's key may go to."""
    reader: "Reader"
    after_s: float = 0.0
    """How long to wait before."""
    accept: str = "application/json"
    """Media type to ask for."""
    whole: Ending | None = None
    """Only counts are there: the call ended before, and this is its end where they are not to be had."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error in the vendor's words."""

    message: str
    code: str | None = None
    status: int | None = None
    """HTTP's, when the body names one."""
    retry_after_s: float | None = None
    """How long the body asks us to wait; a header of the same meaning wins."""


class Faulted(Exception):
    """The vendor answered with an error, whatever its HTTP status said; the client makes a CallError of it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Reader(Protocol):
    """Reads one answer from bytes split anywhere."""

    @property
    def ended(self) -> bool:
        """The vendor's end mark was read: nothing of interest follows."""

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        """What `chunk` completes.

        Raises:
            Faulted: if the vendor says that something went wrong.
            ProviderBug: if it is not what the vendor documents.
        """

    def close(self) -> "Ending | Follow":
        """The end of the answer, or where it goes on; called once, when no byte will follow.

        Raises:
            Truncated: if the vendor's end mark is missing.
            ContentFiltered: if the vendor's filter withheld the answer or its end; `usage` is billed all the same.
            Faulted: if the answer was an error.
            ProviderBug: if it is not what the vendor documents.
        """


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One shape, spoken by many vendors."""

    body: Callable[[Prompt, Params, bool], JSON]
    """Request body; the flag asks for a stream."""
    reader: Callable[[bool], Reader]
    """A fresh reader; the flag says that a stream was asked for."""
    fault: Callable[[bytes, Mapping[str, str]], Fault]
    """What an HTTP error says: its body, and its headers by names of any case."""


def filtered(usage: Usage, *, code: str | None = None) -> ContentFiltered:
    """The error for an answer that the vendor's filter withheld, and that is billed all the same."""
    error = ContentFiltered("the vendor's filter withheld the answer or its end.", code=code)
    error.usage = usage
    return error


def count(value: object) -> int | None:
    """A vendor's count of tokens; None for anything else, since unknown is not 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
