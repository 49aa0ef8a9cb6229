"""Where a ratio of two sums probably lies, when both were measured on the same samples: dollars over right answers."""

import math
from dataclasses import dataclass

import numpy as np

from mlaas_lab.stats.intervals import Floats, Limits
from mlaas_lab.stats.student import t_quantile


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What is left of n pairs when only their sums are kept."""

    n: int
    above: float
    below: float
    above_square: float
    """Σ above²."""
    below_square: float
    product: float
    """Σ above · below."""
    spread: bool
    """The values of one of both are not all equal: rounding in the sums cannot tell."""


def paired_ratio_limits(above: Floats, below: Floats, *, confidence: float = 0.95) -> Limits:
    """Limits of sum(above) / sum(below) over independent pairs (n,), neither of which is negative (Fieller 1954).

    None where `below` is not surely more than 0, or where the pairs have no spread.
    """
    n = len(above)
    if n < 2 or (np.ptp(above) == 0 and np.ptp(below) == 0):
        return None, None
    (var_above, shared), (_, var_below) = np.cov(above, below, ddof=1) / n
    means = float(above.mean()), float(below.mean())
    return _limits(n, means, (float(var_above), float(shared), float(var_below)), confidence)


def ratio_limits_of(pairs: Pairs, *, confidence: float = 0.95) -> Limits:
    """The same from sums alone, for more pairs than one wants to hold."""
    n = pairs.n
    if n < 2 or not pairs.spread:
        return None, None
    above, below = pairs.above / n, pairs.below / n
    scatter = (pairs.above_square - n * above**2, pairs.product - n * above * below, pairs.below_square - n * below**2)
    var_above, shared, var_below = (part / (n - 1) / n for part in scatter)
    return _limits(n, (above, below), (max(0.0, var_above), shared, max(0.0, var_below)), confidence)


def _limits(n: int, means: tuple[float, float], variances: tuple[float, float, float], confidence: float) -> Limits:
    """From both means, and the variances and the covariance of these means."""
    (mean_above, mean_below), (var_above, shared, var_below) = means, variances
    t = t_quantile(0.5 + confidence / 2, n - 1)
    # The ratios r for which t² · var(above - r·below) ≥ (mean(above) - r·mean(below))² lie between two roots.
    square = mean_below**2 - t * t * var_below
    middle = mean_above * mean_below - t * t * shared
    rest = mean_above**2 - t * t * var_above
    inside = middle * middle - square * rest
    if square <= 0 or inside < 0:
        return None, None
    half = math.sqrt(inside)
    return max(0.0, (middle - half) / square), (middle + half) / square
