"""What the ledger speaks of: who pays, on what, how much, and the budgets above it. Amounts are whole micro-dollars."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlaas_lab.schema import JSON

MICRO = 1_000_000
"""Micro-dollars in a dollar."""


class Kind(StrEnum):
    """What money is spent on."""

    TRAINING = "training"
    SERVING_BUSY = "serving_busy"
    SERVING_IDLE = "serving_idle"
    API = "api"
    JUDGE = "judge"


class Scope(StrEnum):
    """What a budget is for."""

    DAY = "day"
    PROJECT = "project"
    NOTEBOOK = "notebook"
    JOB = "job"


@dataclass(frozen=True, kw_only=True)
class Payer:
    """On whose account something is."""

    job: str
    """Empty: no job, but a command."""
    project: str
    """The MLflow experiment."""
    notebook: str = ""
    """Empty: none that is known."""

    def of(self, scope: Scope, day: str) -> str:
        """Which one of `scope` this is."""
        return day if scope is Scope.DAY else str(getattr(self, scope))


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What was spent on one thing, in micro-dollars."""

    kind: Kind
    target: str
    """Empty: it is not known on which."""
    source: str = ""
    """Of the price."""
    price_date: str = ""
    spent: int = 0
    """As far as it is known."""
    unknown: int = 0
    """At most: what may have been billed beside `spent`, of which nobody knows."""
    n: int = 0
    """Calls."""
    n_unknown: int = 0
    """Calls, and deaths of whoever made them, that `unknown` stands for."""
    n_unpriced: int = 0
    """Calls, and deaths, of which not even the most is known: the sum is a lower bound."""
    seconds: float = 0.0
    """Of a machine."""
    unpriced_s: float = 0.0
    """Of them, those without a price."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A budget: what one day, project, notebook or job may spend."""

    scope: Scope
    micro_usd: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a budget stands."""

    limit: Limit
    value: str
    """Which day, project, notebook or job."""
    spent: int
    """With what may have been billed."""
    held: int
    """By others."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How much somebody wants to hold, in micro-dollars."""

    keep: int = 0
    """What he has begun to spend already."""
    want: int = 0
    least: int = 0
    """Less is of no use to him, and he goes back to `keep`."""
    over: bool = False
    """He holds nothing any more."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What somebody got."""

    hold: int | None
    """Its id, for the next time."""
    held: int
    room: int | None
    """The most that he could hold now; None: no budget ends it."""
    possible: int | None
    """The most that he could hold if nobody else held anything."""
    tightest: Standing | None
    """The budget with the least room."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What somebody holds."""

    id: int
    payer: Payer
    kind: Kind
    target: str
    amount: int
    at: float
    """When it was last changed, UTC in seconds."""
    holder: Mapping[str, JSON] = field(default_factory=dict)
    """Its process."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What was spent on one day by one job on one thing."""

    day: str
    payer: Payer
    charge: Charge
