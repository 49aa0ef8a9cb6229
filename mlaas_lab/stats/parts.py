"""Slices of the samples by a number of all answers, as a macro F1: each against all others, and the worst and the best.

Such a number is not put together from those of slices, so every slice, and what is left without it, is measured for
itself. Intervals are carried from 95 % to other levels as normal ones are; that a difference is 0 is tested by the
level at which its interval reaches 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlaas_lab.stats.aggregates import Measured
from mlaas_lab.stats.fairness import Slice
from mlaas_lab.stats.intervals import Limits
from mlaas_lab.stats.paired import holm
from mlaas_lab.stats.student import NORMAL

LEVEL = 0.95
FEWEST = 6
"""Samples of a slice that may be told from the others: fewer draw no tail that is to be trusted."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The number of some samples."""

    n: int
    value: float | None
    low: float | None
    """Of a 95 % interval."""
    high: float | None
    reason: str | None = None
    """Why there is no number."""

    @classmethod
    def of(cls, found: Measured, *, seed: int = 0, even: bool = True) -> "Part":
        """Of one side's answers; `even` as for `Measured.limits`."""
        (value,) = found.values
        if not math.isfinite(value):
            return cls(n=found.samples, value=None, low=None, high=None, reason=found.aggregate.trouble)
        low, high = found.limits(seed=seed, confidence=LEVEL, even=even)
        return cls(n=found.samples, value=value, low=low, high=high)


def slices_of(parts: Mapping[str, Part], rests: Mapping[str, Part], *, alpha: float = 0.05) -> list[Slice]:
    """A line per slice, in the order given.

    Args:
        parts: by the slice's name.
        rests: of the same names, all other slices' samples; a slice that is missing there is compared with nothing.
        alpha: how often, over all slices together, a gap may be seen where there is none.
    """
    lines = [_line(name, part, rests.get(name)) for name, part in parts.items()]
    adjusted = iter(holm([line.p_value for line in lines if line.p_value is not None]))
    return [line if line.p_value is None else line.corrected(next(adjusted), alpha) for line in lines]


def gap_limits(first: Part, second: Part, *, confidence: float = LEVEL) -> Limits:
    """Limits of first - second of different samples, from the limits of both (Zou & Donner 2008)."""
    if first.value is None or second.value is None:
        return None, None
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return None, None
    wider = NORMAL.inv_cdf(0.5 + confidence / 2) / NORMAL.inv_cdf(0.5 + LEVEL / 2)
    gap = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return gap - wider * below, gap + wider * above


def p_value(first: Part, second: Part) -> float | None:
    """Two-sided p that the numbers of different samples are equal; None where one of both has too few."""
    low, high = gap_limits(first, second)
    if first.value is None or second.value is None or low is None or high is None or min(first.n, second.n) < FEWEST:
        return None
    gap = first.value - second.value
    half = gap - low if gap > 0 else high - gap
    return math.erfc(NORMAL.inv_cdf(0.5 + LEVEL / 2) * abs(gap) / half / math.sqrt(2)) if half > 0 else None


def _line(name: str, part: Part, rest: Part | None) -> Slice:
    other = rest or Part(n=0, value=None, low=None, high=None)
    gap_low, gap_high = gap_limits(part, other)
    return Slice(
        name=name,
        n=part.n,
        mean=part.value,
        ci_low=part.low,
        ci_high=part.high,
        gap=None if part.value is None or other.value is None else part.value - other.value,
        gap_low=gap_low,
        gap_high=gap_high,
        p_value=p_value(part, other),
        p_adjusted=None,
        noise=True,
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        reason=part.reason,
    )
