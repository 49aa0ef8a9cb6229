"""Does it serve all alike? Slices of the samples side by side: gaps, which of them are noise, and the four-fifths line.

Slices are different samples, so nothing is paired here. It knows scores by the name of a slice, not what slices mean.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import numpy as np

from mlaas_lab.stats.intervals import MANY, Floats, Limits, Moments, mean_limits
from mlaas_lab.stats.paired import holm
from mlaas_lab.stats.student import t_cdf

FOUR_FIFTHS = 0.8
"""Below this share of the best slice's rate impact is adverse (US Uniform Guidelines 1978, 29 CFR 1607.4 D)."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One slice against all others together, and against the best."""

    name: str
    n: int
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    gap: float | None
    """Mean of this slice less that of all other samples."""
    gap_low: float | None
    gap_high: float | None
    p_value: float | None
    p_adjusted: float | None
    """Holm's over the slices."""
    noise: bool
    """Nothing shows that this slice differs from the others: chance may have made the gap."""
    ratio: float | None
    """Disparate impact: the rate of good outcomes over that of the best slice; None unless scores are shares."""
    ratio_low: float | None
    ratio_high: float | None
    reason: str | None = None
    """Why there is no number although there are scores."""

    def corrected(self, p_adjusted: float | None, alpha: float) -> "Slice":
        """With its p over all slices, and what that tells."""
        return replace(self, p_adjusted=p_adjusted, noise=p_adjusted is None or p_adjusted >= alpha)

    @property
    def adverse(self) -> bool | None:
        """Surely below the four-fifths line; None where the interval holds it, or nobody knows."""
        if self.ratio_low is None or self.ratio_high is None or self.ratio_low < FOUR_FIFTHS <= self.ratio_high:
            return None
        return self.ratio_high < FOUR_FIFTHS


def slices(
    scores: Mapping[str, Floats | Moments],
    *,
    higher_is_better: bool = True,
    alpha: float = 0.05,
    confidence: float = 0.95,
) -> list[Slice]:
    """A line per slice, in the order given.

    Args:
        scores: of the samples of each slice, or what is left of them; an empty one has a line that knows nothing.
        higher_is_better: else the good outcome of a share is what lacks to 1.
        alpha: how often, over all slices together, a gap may be seen where there is none.
        confidence: of all intervals.
    """
    known = {name: one if isinstance(one, Moments) else _moments(one) for name, one in scores.items()}
    lines = [_against_rest(name, known, confidence) for name in known]
    adjusted = iter(holm([line.p_value for line in lines if line.p_value is not None]))
    corrected = [None if line.p_value is None else next(adjusted) for line in lines]
    lines = [line.corrected(p_value, alpha) for line, p_value in zip(lines, corrected, strict=True)]
    if not lines or not all(one is None or one.share for one in known.values()):
        return lines
    good = {name: one if higher_is_better else one.turned for name, one in known.items() if one is not None}
    best = max(good, key=lambda name: good[name].mean, default=None)
    return [_with_ratio(line, good, best, confidence) for line in lines]


def gap_limits(first: Floats | Moments, second: Floats | Moments, *, confidence: float = 0.95) -> Limits:
    """Limits of mean(first) - mean(second), from the limits of both (Newcombe 1998, method 10; Zou & Donner 2008)."""
    (l1, u1), (l2, u2) = mean_limits(first, confidence=confidence), mean_limits(second, confidence=confidence)
    if l1 is None or u1 is None or l2 is None or u2 is None:
        return None, None
    p1, p2 = _mean(first), _mean(second)
    return p1 - p2 - math.hypot(p1 - l1, u2 - p2), p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def ratio_limits(first: Floats | Moments, second: Floats | Moments, *, confidence: float = 0.95) -> Limits:
    """Limits of mean(first) / mean(second) of shares, from the limits of both (Donner & Zou 2012, MOVER-R).

    None where the second could be 0.
    """
    (l1, u1), (l2, u2) = mean_limits(first, confidence=confidence), mean_limits(second, confidence=confidence)
    if l1 is None or u1 is None or l2 is None or u2 is None or l2 <= 0:
        return None, None
    p1, p2 = _mean(first), _mean(second)
    product = p1 * p2
    below = math.sqrt(max(0.0, product**2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2)))
    above = math.sqrt(max(0.0, product**2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2)))
    low = l1 * (2 * p1 - l1) / (product + below) if product else 0.0
    return low, (product + above) / (l2 * (2 * p2 - l2))


def fisher(right_1: int, n_1: int, right_2: int, n_2: int) -> float:
    """Exact two-sided p that two independent shares are equal: tables no likelier than this one (Fisher 1935).

    Of very many tables those are left out that lie 12 standard deviations farther from the likeliest than this one:
    all of them together have a chance below 1e-30.
    """
    right, n = right_1 + right_2, n_1 + n_2
    possible = np.arange(max(0, right - n_2), min(right, n_1) + 1)
    if len(possible) > MANY:
        middle = right * n_1 / n
        reach = abs(right_1 - middle) + 12 * math.sqrt(middle * (n - right) / n * n_2 / n) + 1
        possible = possible[(possible >= middle - reach) & (possible <= middle + reach)]
    factorials = _log_factorials(max(1, math.ceil(max(n_1, n_2) / MANY)) * MANY)
    first = factorials[n_1] - factorials[possible] - factorials[n_1 - possible]
    second = factorials[n_2] - factorials[right - possible] - factorials[n_2 - right + possible]
    logs = first + second
    chances = np.exp(logs - logs.max())
    return float(min(1.0, chances[chances <= chances[right_1 - possible[0]] * (1 + 1e-7)].sum() / chances.sum()))


@lru_cache(maxsize=4)
def _log_factorials(most: int) -> Floats:
    """The logarithms of 0! to `most`!: (most + 1,)."""
    found: Floats = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    return found


def welch(first: Floats | Moments, second: Floats | Moments) -> float | None:
    """Two-sided p that two independent means are equal (Welch 1947); None where there is no spread to measure by."""
    one, other = (each if isinstance(each, Moments) else _moments(each) for each in (first, second))
    if one is None or other is None or one.n < 2 or other.n < 2:
        return None
    parts = one.variance / one.n, other.variance / other.n
    if sum(parts) == 0:
        return None
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (one.n - 1) + parts[1] ** 2 / (other.n - 1))
    return 2 * t_cdf(-abs(one.mean - other.mean) / math.sqrt(sum(parts)), freedom)


def _moments(values: Floats) -> Moments | None:
    return Moments.of(values) if len(values) else None


def _mean(values: Floats | Moments) -> float:
    return values.mean if isinstance(values, Moments) else float(values.mean())


def _against_rest(name: str, scores: Mapping[str, Moments | None], confidence: float) -> Slice:
    own = scores[name]
    others = [one for other, one in scores.items() if other != name and one is not None]
    rest = reduce(operator.add, others) if others else None
    ci_low, ci_high = (None, None) if own is None else mean_limits(own, confidence=confidence)
    line = Slice(
        name=name,
        n=0 if own is None else own.n,
        mean=None if own is None else own.mean,
        ci_low=ci_low,
        ci_high=ci_high,
        gap=None,
        gap_low=None,
        gap_high=None,
        p_value=None,
        p_adjusted=None,
        noise=True,
        ratio=None,
        ratio_low=None,
        ratio_high=None,
    )
    if own is None or rest is None:
        return line
    low, high = gap_limits(own, rest, confidence=confidence)
    return replace(line, gap=own.mean - rest.mean, gap_low=low, gap_high=high, p_value=_p_value(own, rest))


def _p_value(own: Moments, rest: Moments) -> float | None:
    if own.binary and rest.binary:
        return fisher(int(own.total), own.n, int(rest.total), rest.n)
    return welch(own, rest)


def _with_ratio(line: Slice, good: Mapping[str, Moments], best: str | None, confidence: float) -> Slice:
    """`line` with its rate of good outcomes over the best slice's; the best itself has no interval."""
    if best is None or not line.n or good[best].high == 0:
        return line
    low, high = (None, None) if line.name == best else ratio_limits(good[line.name], good[best], confidence=confidence)
    return replace(line, ratio=good[line.name].mean / good[best].mean, ratio_low=low, ratio_high=high)
