"""Where a ratio of two sums probably lies, when both were measured on the same samples: dollars over right answers."""

import math

import numpy as np

from mlaas_lab.stats.intervals import Floats, Limits
from mlaas_lab.stats.student import t_quantile


def paired_ratio_limits(above: Floats, below: Floats, *, confidence: float = 0.95) -> Limits:
    """Limits of sum(above) / sum(below) over independent pairs (n,), neither of which is negative (Fieller 1954).

    None where `below` is not surely more than 0, or where the pairs have no spread.
    """
    n = len(above)
    if n < 2 or (np.ptp(above) == 0 and np.ptp(below) == 0):
        return None, None
    (var_above, shared), (_, var_below) = np.cov(above, below, ddof=1) / n
    t = t_quantile(0.5 + confidence / 2, n - 1)
    mean_above, mean_below = float(above.mean()), float(below.mean())
    # The ratios r for which t² · var(above - r·below) ≥ (mean(above) - r·mean(below))² lie between two roots.
    square = mean_below**2 - t * t * float(var_below)
    middle = mean_above * mean_below - t * t * float(shared)
    rest = mean_above**2 - t * t * float(var_above)
    inside = middle * middle - square * rest
    if square <= 0 or inside < 0:
        return None, None
    half = math.sqrt(inside)
    return max(0.0, (middle - half) / square), (middle + half) / square
