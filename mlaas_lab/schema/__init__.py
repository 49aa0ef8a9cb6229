"""The nouns everybody shares: frozen, keyword-only, standard library only.

Units stand in names: `_s` seconds, `_usd` dollars, `_tokens`, `_bytes`; `_at` is UTC in seconds since 1970.
Unknown is None, never 0. What happened is stored; what follows from it (time to first token, latency) is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Literal, Self
from urllib.parse import parse_qsl, quote

from mlaas_lab.schema._jobs import JSON, Endpoint, EndpointState, Job, JobState, Parity, Progress, Work
from mlaas_lab.schema._verdicts import Decision, Verdict

__all__ = [
    "JSON",
    "Attempt",
    "Completion",
    "Cost",
    "Decision",
    "Endpoint",
    "EndpointState",
    "Exchange",
    "Job",
    "JobState",
    "Message",
    "Parity",
    "Passage",
    "Progress",
    "Record",
    "Sample",
    "Score",
    "ScoreStatus",
    "Target",
    "Usage",
    "Verdict",
    "Work",
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something one can prompt: `provider/model?key=value`, or the bare name of an endpoint we serve."""

    model: str
    provider: str | None = None
    """None for an endpoint of ours, found by its name."""
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `text`; `str()` gives it back.

        Raises:
            ValueError: if the model is empty.
        """
        name, _, query = text.strip().partition("?")
        provider, slash, model = name.partition("/")
        if not slash:
            provider, model = "", name
        if not model or (slash and not provider):
            raise ValueError(f"target {text!r} has no model; write provider/model, or an endpoint's name")
        params = tuple(parse_qsl(query, keep_blank_values=True))
        return cls(provider=provider or None, model=model, params=params)

    def __str__(self) -> str:
        name = f"{self.provider}/{self.model}" if self.provider else self.model
        query = "&".join(f"{quote(k, safe='')}={quote(v, safe=':/@,')}" for k, v in self.params)
        return f"{name}?{query}" if query else name

    @property
    def name(self) -> str:
        """What records and panels call it: what stands after `as=`, or all of it."""
        return self.get("as") or str(self)

    def get(self, key: str, default: str | None = None) -> str | None:
        """The last value of parameter `key`."""
        return dict(self.params).get(key, default)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of a dataset: what is asked, and what a good answer is."""

    id: str
    messages: tuple[Message, ...]
    """The turns before the answer."""
    reference: str | None = None
    contexts: tuple[str, ...] = ()
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of a text that was shown beside a question."""

    source: str
    """Where it is from."""
    text: str
    score: float
    """How well it fits the question, as whatever found it counts; larger is better."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Token counts as the vendor reports them; None where it does not."""

    input_tokens: int | None = None
    """All input, cache reads included."""
    output_tokens: int | None = None
    """All output, reasoning included."""
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request on the wire; a call that is retried has several."""

    started_at: float
    connected_at: float | None = None
    """When a connection was at hand, new or re-used."""
    first_byte_at: float | None = None
    first_token_at: float | None = None
    """None unless streamed."""
    ended_at: float
    status: int | None = None
    error: str | None = None
    """Error class in snake case; None when it was answered."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What really came over the wire for a call, as the vendor sent it: proof, and help when a number looks wrong."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Without cookies."""
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One reply, with the events it came by."""

    text: str
    usage: Usage
    finish_reason: str | None
    model: str | None
    """The model that says it answered."""
    attempts: tuple[Attempt, ...]
    request_id: str | None = None
    response_id: str | None = None
    """The vendor's name for the answer, where its body has one."""
    exchange: Exchange | None = None
    """The last one; None where an answer was taken over or made in this process."""

    @property
    def latency_s(self) -> float:
        """Of the attempt that was answered; earlier attempts and back-off are not in it."""
        return self.attempts[-1].ended_at - self.attempts[-1].started_at

    @property
    def ttft_s(self) -> float | None:
        """Time to first token of the answered attempt; None unless streamed."""
        last = self.attempts[-1]
        return None if last.first_token_at is None else last.first_token_at - last.started_at

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens over the time they took after the first one; None unless streamed and counted."""
        last, n = self.attempts[-1], self.usage.output_tokens
        if last.first_token_at is None or n is None or n < 2:
            return None
        took_s = last.ended_at - last.first_token_at
        return (n - 1) / took_s if took_s > 0 else None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Money for one call or job, and where the price comes from."""

    usd: Decimal | None
    """None: unpriced."""
    source: str | None = None
    date: str | None = None
    """Day the price was valid, as YYYY-MM-DD."""


class ScoreStatus(StrEnum):
    """How a score came about; only `ok` has a value."""

    OK = "ok"
    REFUSED = "refused"
    PARSE_ERROR = "parse_error"
    TIMEOUT = "timeout"
    JUDGE_ERROR = "judge_error"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One judged number, or the reason there is none."""

    value: float | None
    status: ScoreStatus = ScoreStatus.OK
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not isfinite(self.value):
            raise ValueError(f"a score is a finite number, not {self.value!r}")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measured target × sample × repeat; one row of `records.parquet`."""

    target: str
    sample_id: str
    repeat: int
    group: str | None
    messages: tuple[Message, ...]
    """The turns that were sent."""
    contexts: tuple[Passage, ...] | None = None
    """What was retrieved and shown beside the question; None where nothing is retrieved."""
    reference: str | None
    completion: Completion | None
    """None when every attempt failed; then `error` is set."""
    provider: str | None = None
    """None for an endpoint of ours."""
    region: str | None = None
    """Where it was asked, when the target has regions."""
    emulated: bool = False
    """A loopback emulator answered, not the vendor."""
    unchecked: bool = False
    """An endpoint of ours answered that nobody compared with the model that was trained."""
    error: str | None = None
    error_message: str | None = None
    attempts: tuple[Attempt, ...] = ()
    billed: Usage = Usage()
    """What a call without an answer used all the same, as far as the vendor said so."""
    exchange: Exchange | None = None
    """The last one of a call without an answer."""
    cost: Cost = Cost(usd=None)
    scores: Mapping[str, Score] = field(default_factory=dict)
    cached_at: float | None = None
    """When it was really answered, if the answer was taken over from an earlier evaluation; None: asked now."""
    intended_at: float | None = None
    """When a load test wanted it to be sent, from which its times then count; None outside of load tests."""
    offered_rate: float | None = None
    """Requests a second that a load test offered then; None where the next one waited for an answer."""
    gaps_s: tuple[float, ...] | None = None
    """Between the pieces of a stream, in seconds; None where nobody measured them."""
