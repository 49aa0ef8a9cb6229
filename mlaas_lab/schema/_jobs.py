"""The nouns of background work: what runs, how far it is, and the servers it started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

JSON = Any
"""What `json` reads and writes."""


class JobState(StrEnum):
    """Life cycle of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"

    @property
    def ended(self) -> bool:
        """Nothing more will happen by itself."""
        return self not in (JobState.QUEUED, JobState.RUNNING, JobState.PREEMPTED)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is; `total` None means nobody knows."""

    n: int
    total: int | None
    unit: str = "steps"
    phase: str = ""
    at: float
    rate: float | None = None
    """Units per second, smoothed."""
    spent_usd: float | None = None
    """On calls, as far as it is known; None: nothing is bought, or nobody knows what it costs."""
    cap_usd: float | None = None
    """What may be spent at most; then `spent_usd` is what may have been spent at most."""
    n_unpriced: int = 0
    """Calls of which nobody knows the whole cost."""

    @property
    def eta_s(self) -> float | None:
        """Seconds to go; None when unknown."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.n) / self.rate


@dataclass(frozen=True, kw_only=True)
class Job:
    """Background work: one row of the store."""

    id: str
    task: str
    name: str
    spec: Mapping[str, JSON]
    spec_hash: str
    state: JobState
    attempt: int
    executor: str
    folder: str
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    progress: Progress | None = None
    ready: bool = False
    """A service that answers; other jobs never set it."""
    handle: Mapping[str, JSON] = field(default_factory=dict)
    """What the executor needs to find it again: for a process its pid and start time."""
    run_id: str | None = None
    error: str | None = None
    cancel_requested: bool = False
    beat: int = 0
    """Raised by the supervisor every two seconds; only that it changes means something."""
    waiting: str | None = None
    """Why a queued job does not run yet."""
    requeues: int = 0
    """How often it went on by itself after it was preempted, since somebody last started it."""
    claims: tuple[str, ...] = ()
    """Names that it answers to, and no other job that lives."""


class EndpointState(StrEnum):
    """How a server of ours is doing, by whether it generates a token within its limit."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    """It answers others, too."""
    SLEEPING = "sleeping"
    """It has let go of its accelerator; `front` wakes it for the next request."""
    SICK = "sick"
    """No token within the limit, and nothing else is being answered either."""
    STOPPED = "stopped"

    @property
    def answers(self) -> bool:
        """Whether asking it makes sense now."""
        return self in (EndpointState.READY, EndpointState.BUSY)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """What came out when an endpoint was compared with the model it stands for, greedy token by greedy token."""

    checked: bool
    """False: the user wanted none of it (`--no-parity`)."""
    prompts: int = 0
    tokens: int = 0
    """Of the endpoint, that were compared."""
    first_difference: int | None = None
    """Place, from 0, of the first token in any answer that differs from the local one; None: all are the same."""
    gap_nats: float | None = None
    """The largest difference between both log-probabilities of a token; None where the engine tells none."""
    behind_nats: float | None = None
    """The most by which a token of the endpoint is less likely than the one that the local model holds for best."""
    effect_nats: float | None = None
    """The most by which the adapter moves any token's log-probability; None for a base."""
    tolerance_nats: float | None = None
    """How large a gap numbers of this width may explain."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a server does, as it said when it was last looked at; all of its endpoints together. None: nobody knows."""

    at: float
    """UTC seconds."""
    running: float | None = None
    """Requests under way."""
    waiting: float | None = None
    """Requests in the engine's own queue."""
    cache: float | None = None
    """Share of the memory for keys and values that is in use."""
    tokens_per_s: float | None = None
    """Read and written between the last two looks, those of the looks themselves left out."""
    input_tokens: float | None = None
    """Read since the server started, likewise."""
    output_tokens: float | None = None
    """Written since then."""
    over_s: float | None = None
    """Seconds since then."""
    by_model: Mapping[str, float] = field(default_factory=dict)
    """Tokens a second likewise, by what requests name as their model; of those that the server counts apart."""
    asked: Sequence[str] | None = None
    """Adapters of which a request is under way or waits."""
    usd_per_hour: float | None = None
    """Of its machine."""
    price_source: str | None = None

    @property
    def usd_per_million(self) -> float | None:
        """Dollars for a million tokens, read and written, at the use that was made of it; None before the first."""
        tokens = (self.input_tokens or 0.0) + (self.output_tokens or 0.0)
        if self.usd_per_hour is None or not self.over_s or tokens <= 0:
            return None
        return self.usd_per_hour * self.over_s / 3600 / tokens * 1e6


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server we started, under one name; made by a job of task `serve`."""

    name: str
    job_id: str
    base_url: str
    model: str
    """What to send as `model`."""
    engine: str
    ready: bool
    source: str
    """The model or adapter behind it, as the user named it."""
    state: EndpointState | None = None
    """None where nobody looks after it."""
    parity: Parity | None = None
    """How it compares with the model that was trained; None where nothing was trained, or it is not known yet."""
    cold_first_token_s: float | None = None
    """From the last request that woke its server to the first token, in seconds; None where none did."""
    warm_first_token_s: float | None = None
    """The median of the last streams that the front passed on while its server ran; None where there are none."""
    work: Work | None = None
    """None before the first look."""

    @property
    def unchecked(self) -> bool:
        """Nobody compared it with the model that was trained, since the user wanted it so."""
        return self.parity is not None and not self.parity.checked

    @classmethod
    def read(cls, values: Mapping[str, JSON]) -> "Endpoint":
        """The endpoint that JSON, or a row, has these plain values of."""
        state, parity, work = values.get("state"), values.get("parity"), values.get("work")
        return cls(
            **{
                **values,
                "ready": bool(values["ready"]),
                "state": EndpointState(state) if state else None,
                "parity": Parity(**parity) if parity else None,
                "work": Work(**work) if work else None,
            }
        )
