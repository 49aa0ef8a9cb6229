"""Does it serve all alike? Slices of the samples side by side: gaps, which of them are noise, and the four-fifths line.

Slices are different samples, so nothing is paired here. It knows scores by the name of a slice, not what slices mean.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mlaas_lab.stats.intervals import Floats, Limits, is_binary, is_share, mean_limits
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

    @property
    def adverse(self) -> bool | None:
        """Surely below the four-fifths line; None where the interval holds it, or nobody knows."""
        if self.ratio_low is None or self.ratio_high is None or self.ratio_low < FOUR_FIFTHS <= self.ratio_high:
            return None
        return self.ratio_high < FOUR_FIFTHS


def slices(
    scores: Mapping[str, Floats], *, higher_is_better: bool = True, alpha: float = 0.05, confidence: float = 0.95
) -> list[Slice]:
    """A line per slice, in the order given.

    Args:
        scores: of the samples of each slice; an empty one has a line that knows nothing.
        higher_is_better: else the good outcome of a share is what lacks to 1.
        alpha: how often, over all slices together, a gap may be seen where there is none.
        confidence: of all intervals.
    """
    lines = [_against_rest(name, scores, confidence) for name in scores]
    adjusted = iter(holm([line.p_value for line in lines if line.p_value is not None]))
    corrected = [None if line.p_value is None else next(adjusted) for line in lines]
    lines = [
        replace(line, p_adjusted=p_value, noise=p_value is None or p_value >= alpha)
        for line, p_value in zip(lines, corrected, strict=True)
    ]
    if not lines or not all(is_share(values) for values in scores.values()):
        return lines
    good = {name: values if higher_is_better else 1 - values for name, values in scores.items()}
    best = max((name for name in good if len(good[name])), key=lambda name: float(good[name].mean()), default=None)
    return [_with_ratio(line, good, best, confidence) for line in lines]


def gap_limits(first: Floats, second: Floats, *, confidence: float = 0.95) -> Limits:
    """Limits of mean(first) - mean(second), from the limits of both (Newcombe 1998, method 10; Zou & Donner 2008)."""
    (l1, u1), (l2, u2) = mean_limits(first, confidence=confidence), mean_limits(second, confidence=confidence)
    if l1 is None or u1 is None or l2 is None or u2 is None:
        return None, None
    p1, p2 = float(first.mean()), float(second.mean())
    return p1 - p2 - math.hypot(p1 - l1, u2 - p2), p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def ratio_limits(first: Floats, second: Floats, *, confidence: float = 0.95) -> Limits:
    """Limits of mean(first) / mean(second) of shares, from the limits of both (Donner & Zou 2012, MOVER-R).

    None where the second could be 0.
    """
    (l1, u1), (l2, u2) = mean_limits(first, confidence=confidence), mean_limits(second, confidence=confidence)
    if l1 is None or u1 is None or l2 is None or u2 is None or l2 <= 0:
        return None, None
    p1, p2 = float(first.mean()), float(second.mean())
    product = p1 * p2
    below = math.sqrt(max(0.0, product**2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2)))
    above = math.sqrt(max(0.0, product**2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2)))
    low = l1 * (2 * p1 - l1) / (product + below) if product else 0.0
    return low, (product + above) / (l2 * (2 * p2 - l2))


def fisher(right_1: int, n_1: int, right_2: int, n_2: int) -> float:
    """Exact two-sided p that two independent shares are equal: tables no likelier than this one (Fisher 1935)."""
    right = right_1 + right_2
    possible = np.arange(max(0, right - n_2), min(right, n_1) + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, max(n_1, n_2) + 1)))])  # logarithms
    first = factorials[n_1] - factorials[possible] - factorials[n_1 - possible]
    second = factorials[n_2] - factorials[right - possible] - factorials[n_2 - right + possible]
    logs = first + second
    chances = np.exp(logs - logs.max())
    return float(min(1.0, chances[chances <= chances[right_1 - possible[0]] * (1 + 1e-7)].sum() / chances.sum()))


def welch(first: Floats, second: Floats) -> float | None:
    """Two-sided p that two independent means are equal (Welch 1947); None where there is no spread to measure by."""
    if len(first) < 2 or len(second) < 2:
        return None
    parts = float(first.var(ddof=1)) / len(first), float(second.var(ddof=1)) / len(second)
    if sum(parts) == 0:
        return None
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1))
    return 2 * t_cdf(-abs(float(first.mean() - second.mean())) / math.sqrt(sum(parts)), freedom)


def _against_rest(name: str, scores: Mapping[str, Floats], confidence: float) -> Slice:
    own = scores[name]
    others = [values for other, values in scores.items() if other != name]
    rest = np.concatenate(others) if others else np.empty(0)
    both = len(own) > 0 and len(rest) > 0
    ci_low, ci_high = mean_limits(own, confidence=confidence)
    gap_low, gap_high = gap_limits(own, rest, confidence=confidence) if both else (None, None)
    return Slice(
        name=name,
        n=len(own),
        mean=float(own.mean()) if len(own) else None,
        ci_low=ci_low,
        ci_high=ci_high,
        gap=float(own.mean() - rest.mean()) if both else None,
        gap_low=gap_low,
        gap_high=gap_high,
        p_value=_p_value(own, rest) if both else None,
        p_adjusted=None,
        noise=True,
        ratio=None,
        ratio_low=None,
        ratio_high=None,
    )


def _p_value(own: Floats, rest: Floats) -> float | None:
    if is_binary(own) and is_binary(rest):
        return fisher(int(own.sum()), len(own), int(rest.sum()), len(rest))
    return welch(own, rest)


def _with_ratio(line: Slice, good: Mapping[str, Floats], best: str | None, confidence: float) -> Slice:
    """`line` with its rate of good outcomes over the best slice's; the best itself has no interval."""
    if best is None or not line.n or not good[best].any():
        return line
    low, high = (None, None) if line.name == best else ratio_limits(good[line.name], good[best], confidence=confidence)
    return replace(line, ratio=float(good[line.name].mean() / good[best].mean()), ratio_low=low, ratio_high=high)
