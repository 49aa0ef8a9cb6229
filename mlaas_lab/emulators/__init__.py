"""Loopback servers that speak the vendors' own wires: practice without keys, and the bed that adapters are tested in.

An emulator's file exposes `emulator`; its name is its provider's. It is written from the vendor's documents and shares
no code with `wires` and `signing`: a bug in both would cancel itself. It rejects what the vendor rejects, verifies what
the vendor verifies, and says what it bills. HTTP, pace, faults and the ledger are the server's business, not its.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

Kind = Literal["rate_limited", "overloaded", "filtered", "auth", "not_found", "invalid"]
"""What a vendor refuses with: it says each in its own words and under its own status."""
KINDS: tuple[Kind, ...] = get_args(Kind)


def practice_key(name: str) -> str:
    """What an emulator takes for the secret that environment variable `name` would hold."""
    return f"emulated-{name}"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An HTTP request as it came."""

    method: str
    url: str
    """Scheme, host and port of this server, without a slash at the end."""
    target: str
    """Path and query exactly as sent, with their percent signs: signatures cover them."""
    headers: Mapping[str, str]
    """By names of any case."""
    body: bytes
    at: float
    """UTC seconds since 1970."""

    @property
    def path(self) -> str:
        """As sent, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """As sent, without the question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the model is asked, once the vendor's rules were kept."""

    model: str
    turns: tuple[tuple[str, str], ...]
    """Role and text."""
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says, and what it is billed as."""

    pieces: tuple[str, ...]
    """One a token."""
    finish: Literal["stop", "length", "filter"] = "stop"
    input_tokens: int
    """All of the input, the cached part included."""
    output_tokens: int
    """All of the output, reasoning included."""
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def text(self) -> str:
        """The whole."""
        return "".join(self.pieces)


Mind = Callable[[Question], Answer]
"""Who answers: a model of ours, a script, an echo."""


class Refusal(Exception):
    """The vendor says no; `kind` is one of `KINDS`."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Bytes that the vendor sends in one go."""

    data: bytes
    tokens: int = 0
    """Of the answer in it; the server paces these."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """`Content-Type` among them."""
    frames: Sequence[Frame]
    model: str = ""
    """Whose answer it is; empty for exchanges that bill nothing."""
    answer: Answer | None = None
    """What is billed."""


class Vendor(Protocol):
    """One running emulator, with what it must remember between two requests."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The reply to `asked`.

        Raises:
            Refusal: if the vendor would refuse it.
        """

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How the vendor refuses: its status, headers and body."""


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """What stands behind a name."""

    title: str
    vendor: Callable[[], Vendor]
    """A fresh one, for one server."""
    base: str = ""
    """Path at the end of its `base_url`."""
    model: str = "emulated"
    """A model's name that fits this vendor, for examples and tests."""
    target: str = ""
    """Parameters that an example target needs, as `region=eu-central-1`."""


def sse(events: Iterable[tuple[str, int]], *, end: str = "") -> list[Frame]:
    """Frames of server-sent events: the `data:` of each, and how many tokens of the answer it holds."""
    frames = [Frame(data=f"data: {data}\n\n".encode(), tokens=tokens) for data, tokens in events]
    return [*frames, *([Frame(data=end.encode())] if end else [])]
