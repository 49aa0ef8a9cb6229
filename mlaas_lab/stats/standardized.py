"""A mean difference against its own scatter, in a form that cannot exceed √n.

Dividing by the root of the sum of squares, not by the spread around the mean, keeps few values from looking certain:
six equal differences give 2.4, not infinity. It knows no looks and no boundaries.
"""

import math

import numpy as np

from mlaas_lab.stats.intervals import Floats, Limits


def standardized(differences: Floats) -> float:
    """Σd / √Σd² of the differences (n,): near normal if their signs are chance, with lighter tails (Efron 1969).

    For differences of -1, 0 and 1 it is McNemar's (b - c) / √(b + c). 0 where nothing differs.
    """
    square = float((differences**2).sum())
    return float(differences.sum()) / math.sqrt(square) if square else 0.0


def limits_at(differences: Floats, bound: float) -> Limits:
    """Mean differences that `standardized` does not place beyond ± `bound`, from the differences (n,).

    Solves |Σ(d - μ)| ≤ bound √Σ(d - μ)² for μ. None where so few values, or values without any spread, exclude nothing.
    """
    n = len(differences)
    if n <= bound * bound or np.ptp(differences) == 0:
        return None, None
    mean = float(differences.mean())
    scatter = float(((differences - mean) ** 2).sum())
    half = bound * math.sqrt(scatter / (n * (n - bound * bound)))
    return mean - half, mean + half
