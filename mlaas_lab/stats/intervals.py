"""Where a mean, a share or a quantile probably lies.

A sample without spread is not a certainty: 20 right answers of 20 give 84 % to 100 %, never 100 % to 100 %. Where the
numbers say nothing about the spread and no bound helps, the limits are None.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.student import NORMAL, t_quantile

Floats = NDArray[np.float64]
Limits = tuple[float | None, float | None]
"""Lower and upper; None where the numbers do not say."""


def wilson(successes: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927; recommended by Brown, Cai & DasGupta 2001 for any n).

    Raises:
        ValueError: unless 0 ≤ successes ≤ n and n > 0.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"wilson needs 0 ≤ successes ≤ n and n > 0, not {successes!r} of {n!r}")
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return low, 1.0 if successes == n else min(1.0, middle + half)


def mean_limits(values: Floats, *, confidence: float = 0.95) -> Limits:
    """Limits of the mean of independent `values` (n,), by what the values look like.

    All 0 or 1: Wilson. All within 0 and 1: Student's t after adding two zeros and two ones (the device of Agresti &
    Coull 1998), so that a sample without spread does not read as certainty. Else: Student's t, None without spread.
    """
    if not len(values):
        return None, None
    if is_binary(values):
        return wilson(float(values.sum()), len(values), confidence=confidence)
    if is_share(values):
        low, high = _student(np.concatenate([values, [0.0, 0.0, 1.0, 1.0]]), confidence)
        return max(0.0, low), min(1.0, high)
    if len(values) < 2 or np.ptp(values) == 0:
        return None, None
    return _student(values, confidence)


def quantile_limits(values: Floats, q: float, *, confidence: float = 0.95) -> Limits:
    """Distribution-free limits of quantile `q`: order statistics with binomial ranks (David & Nagaraja 2003, 7.1).

    A side is None when so few values cannot bound it: the 99th percentile of 50 has no upper limit.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    n = len(values)
    if n == 0:
        return None, None
    below = np.cumsum(binomial(n, q))  # (n + 1,) P(at most k values lie below the quantile)
    tail = (1 - confidence) / 2
    lower = int(np.searchsorted(below, tail, side="right"))
    upper = int(np.searchsorted(below, 1 - tail, side="left"))
    ordered = np.sort(values)
    low = float(ordered[lower - 1]) if lower >= 1 else None
    return low, float(ordered[upper]) if upper < n else None


def fewest_for(q: float, *, confidence: float = 0.95) -> int:
    """The least number of values that bounds quantile `q` on both sides: 368 for the 99th percentile, 72 for the 95th.

    Fewer leave a chance above (1 - confidence) / 2 that all of them lie on one side of it.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))


def binomial(n: int, p: float) -> Floats:
    """Probabilities of 0 … n successes (n + 1,), through logarithms of factorials."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    result: Floats = np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
    return result


def is_binary(values: Floats) -> bool:
    """Every value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def is_share(values: Floats) -> bool:
    """Every value lies within 0 and 1."""
    return bool(((values >= 0) & (values <= 1)).all())


def _student(values: Floats, confidence: float) -> tuple[float, float]:
    n, mean = len(values), float(values.mean())
    half = t_quantile(0.5 + confidence / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean - half, mean + half
