"""From how many requests a day on a machine of one's own is cheaper than paying for each: pure numbers.

A machine costs the same however little it does, and beyond what it bears another one is needed. So the answer may be
`never`: where a full machine costs more per request than the other asks. The band takes the intervals of both sides at
their ends at once.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What is known of a break-even."""

    FOUND = "found"
    NEVER = "never"
    """A machine that is full costs more per request."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval; None is a side that nothing bounds."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """Requests a day from which one is cheaper than the other."""

    state: State
    per_day: float | None = None
    """None unless found."""
    low: float | None = None
    """With the intervals' best ends for the machine; None: even then never."""
    high: float | None = None
    """With their worst ends; None: then never."""
    always_from: float | None = None
    """From here on it stays cheaper; more than `per_day` where a further machine turns it for a while."""
    reason: str = ""
    """Why it is not known."""


def unknown(reason: str) -> BreakEven:
    """Nobody knows, and why."""
    return BreakEven(state=State.UNKNOWN, reason=reason)


def break_even(day_usd: float, most_per_day: Estimate, call_usd: Estimate) -> BreakEven:
    """Where machines of `day_usd` a day, which bear `most_per_day` requests each, meet calls at `call_usd` each.

    n requests need ceil(n / most) machines. One is as cheap from day_usd / call_usd on; if it does not bear that many,
    m machines would need m times as many, which they do not bear either.
    """
    value = _met(day_usd, most_per_day.value, call_usd.value)
    best = _met(day_usd, math.inf if most_per_day.high is None else most_per_day.high, _end(call_usd.high))
    worst = _met(day_usd, most_per_day.low or 0.0, call_usd.low or 0.0)
    if value is None:
        return BreakEven(state=State.NEVER, low=best)
    always = _always(day_usd, most_per_day.value, call_usd.value)
    return BreakEven(state=State.FOUND, per_day=value, low=best, high=worst, always_from=always)


def machines(per_day: float, most_per_day: float) -> int:
    """How many are needed; one at least, since it is there before the first request."""
    return max(1, math.ceil(per_day / most_per_day - 1e-9))


def _end(high: float | None) -> float:
    return math.inf if high is None else high


def _met(day_usd: float, most: float, call_usd: float) -> float | None:
    """None: never."""
    if call_usd <= 0 or most <= 0:
        return None
    at = day_usd / call_usd
    return at if at <= most else None


def _always(day_usd: float, most: float, call_usd: float) -> float:
    """From where on no further machine makes the calls cheaper again.

    The step from m to m + 1 machines, at m · most requests, stays below the calls where m ≥ 1 / (r - 1), r being what
    the calls cost that one full machine bears, over its price. r = 1 never gets there.
    """
    gain = most * call_usd / day_usd - 1
    steps = math.inf if gain <= 0 else max(1, math.ceil(1 / gain - 1e-9))
    return steps * day_usd / call_usd
