"""Which endpoint of one's own is cheaper than which hosted target, and from how many requests a day.

What is bought may be answers, or right answers by a metric. It knows measurements and a machine's price, no traffic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlaas_lab.planning.break_even import BreakEven, Estimate, break_even, unknown
from mlaas_lab.planning.measured import Measured
from mlaas_lab.planning.month import Machine


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """One pair, and what is known of where they meet."""

    own: str
    hosted: str
    metric: str | None
    """Of the right answers that are paid for; None: any answer counts."""
    found: BreakEven
    call_usd: Estimate | None = None
    """What the hosted target asks for as much as one request to the own endpoint gives; None where unknown."""
    most_per_day: Estimate | None = None
    """Requests a day that one machine bears."""
    day_usd: float | None = None
    """What a machine costs a day."""


def rivals(
    targets: Sequence[Measured], machine: Machine, *, utilisation: float, metrics: Sequence[str] = ()
) -> list[Rivals]:
    """Each pair, by answers and by each of `metrics`; `utilisation` is the share of what was measured that is used."""
    pairs = [(own, other) for own in targets if own.own for other in targets if not other.own]
    return [
        _pair(own, other, machine, utilisation, metric)
        for metric in (None, *metrics)
        for own, other in pairs
        if metric is None or (metric in own.right and metric in other.right)
    ]


def _pair(own: Measured, other: Measured, machine: Machine, utilisation: float, metric: str | None) -> Rivals:
    def not_known(reason: str) -> Rivals:
        return Rivals(own=own.name, hosted=other.name, metric=metric, found=unknown(reason))

    if own.server is None:
        return not_known(f"{own.name}: {own.unserved}")
    if machine.usd_per_hour is None:
        return not_known(f"nobody says what the machine of {own.name} costs")
    call_usd, why = (other.usd, other.unpriced) if metric is None else _for_right(own, other, metric)
    if call_usd is None:
        return not_known(f"{other.name}: {why}")
    day_usd = float(machine.usd_per_hour) * machine.hours_per_day
    most = _scaled(own.server.per_s, utilisation * 3600 * machine.hours_per_day)
    return Rivals(
        own=own.name,
        hosted=other.name,
        metric=metric,
        found=break_even(day_usd, most, call_usd),
        call_usd=call_usd,
        most_per_day=most,
        day_usd=day_usd,
    )


def _for_right(own: Measured, other: Measured, metric: str) -> tuple[Estimate | None, str]:
    """As many right answers as one request to the own endpoint gives, at what they cost the other one."""
    mine, theirs = own.right[metric].share, other.right[metric]
    if theirs.usd is None:
        return None, theirs.reason
    low, high = _times(mine.low, theirs.usd.low), _times(mine.high, theirs.usd.high)
    return Estimate(value=mine.value * theirs.usd.value, low=low, high=high), ""


def _times(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def _scaled(one: Estimate, factor: float) -> Estimate:
    return Estimate(value=one.value * factor, low=_times(one.low, factor), high=_times(one.high, factor))
