"""A comparison that may be looked at after every sample, for ever, and still raises at most 5 % false alarms.

The mixture sequential probability ratio test (Robbins 1970; Johari et al. 2017) and its confidence sequence. The price
is about twice a fixed test's samples, so it is for traffic that comes anyway. It knows differences only.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mlaas_lab.stats.boundaries import boundaries, crossing
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.stats.sequential import looks
from mlaas_lab.stats.standardized import limits_at
from mlaas_lab.stats.student import NORMAL

PEEKS = 40
"""Looks that stand for looking all the time where power is integrated."""


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Where a monitored difference stands."""

    n: int
    p_value: float
    """Always valid: the least so far, and one may stop whenever it is small."""
    decided_at: int | None
    """After how many differences it first fell below alpha."""
    difference: float | None
    """Mean so far."""
    ci_low: float | None
    """Of the confidence sequence: all its intervals together hold the truth 95 times of 100."""
    ci_high: float | None


def monitored(differences: Floats, *, planned: int, alpha: float = 0.05) -> Monitor:
    """Where things stand after the differences (n,), in the order they came.

    Args:
        differences: b - a per sample.
        planned: about how many samples a decision should take; any number is valid, this one makes it sharpest there.
        alpha: false alarms over all times.
    """
    p_values = always_valid(differences, planned=planned, alpha=alpha)
    n, low = len(differences), np.flatnonzero(p_values < alpha)
    ci_low, ci_high = limits_at(differences, bound(n, planned=planned, alpha=alpha)) if n else (None, None)
    return Monitor(
        n=n,
        p_value=float(p_values[-1]) if n else 1.0,
        decided_at=int(low[0]) + 1 if len(low) else None,
        difference=float(differences.mean()) if n else None,
        ci_low=ci_low,
        ci_high=ci_high,
    )


def always_valid(differences: Floats, *, planned: int, alpha: float = 0.05) -> Floats:
    """The always-valid p after each of the differences (n,): it never rises, and is below 5 % by chance 1 time in 20.

    1 / the mixture likelihood ratio, over a normal mixture of effects whose variance, in units of that of the
    differences, is set by `planned`. The differences' own scatter stands for the unknown variance (Waudby-Smith et al.
    2024), as a sum of squares, so that the first few values cannot look certain.
    """
    n = np.arange(1, len(differences) + 1)
    squares = np.cumsum(differences**2)
    z2 = np.divide(np.cumsum(differences) ** 2, squares, out=np.zeros(len(n)), where=squares > 0)  # (n,)
    weight = n * _variance(planned, alpha)
    log_ratio = z2 * weight / (2 * (1 + weight)) - np.log1p(weight) / 2
    p_values: Floats = np.minimum.accumulate(np.minimum(1.0, np.exp(-log_ratio)))
    return p_values


def bound(n: int, *, planned: int, alpha: float = 0.05) -> float:
    """What |z| must reach after `n` differences, where a fixed test asks for 1.96."""
    weight = n * _variance(planned, alpha)
    return math.sqrt(2 * (1 + weight) / weight * (math.log(1 / alpha) + math.log1p(weight) / 2))


@lru_cache(maxsize=64)
def price(planned: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """How many times the samples of a fixed test of `planned` one must be ready to take, to find the same difference.

    With equal power. It is the most, not the mean: a monitor often stops earlier, a fixed test never does. Integrated
    over 40 even looks, which many more would hardly lower.
    """
    return _most(planned, alpha, power, drift=NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(power))


@lru_cache(maxsize=64)
def price_over_looks(planned: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The same against five looks (`sequential`) at `planned` samples, which take 2 or 3 % more than a fixed test.

    For a difference that those looks find with `power`.
    """
    times = tuple(n / planned for n in looks(planned))
    limits = boundaries(times, alpha)
    low, high = 0.0, 16.0
    while high - low > 1e-4:
        drift = (low + high) / 2
        low, high = (low, drift) if sum(crossing(times, limits, drift=drift).above) >= power else (drift, high)
    return _most(planned, alpha, power, drift=high)


def _most(planned: int, alpha: float, power: float, *, drift: float) -> float:
    """How many times the planned samples give that power, `drift` being the expected z after `planned`."""
    low, high = 1.0, 16.0
    while high - low > 0.005:
        times = (low + high) / 2
        at = [planned * times * look / PEEKS for look in range(1, PEEKS + 1)]
        limits = tuple(bound(max(1, round(n)), planned=planned, alpha=alpha) for n in at)
        found = crossing(tuple(n / at[-1] for n in at), limits, drift=drift * math.sqrt(times))
        low, high = (low, times) if sum(found.above) >= power else (times, high)
    return high


def _variance(planned: int, alpha: float) -> float:
    """Of the mixture, such that the bound is about lowest at `planned` samples (Waudby-Smith et al. 2024, section 2).

    Raises:
        ValueError: unless something is planned.
    """
    if planned < 1:
        raise ValueError(f"at least one sample must be planned, not {planned!r}")
    logarithm = -2 * math.log(alpha)
    return (logarithm + math.log(logarithm + 1)) / planned
