"""Quantiles of values that come in clusters, such as the gaps within one stream, which are alike."""

import math

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.intervals import Floats, Limits
from mlaas_lab.stats.student import t_quantile

FEWEST = 10
"""Clusters; of fewer the spread between them is not known."""


def clustered_quantile_limits(
    values: Floats, owners: NDArray[np.int64], q: float, *, confidence: float = 0.95
) -> Limits:
    """Limits of quantile `q` of `values` (n,), where `owners` (n,) says which cluster each is of, from 0.

    The share of values below the quantile scatters as a ratio of cluster totals (Cochran 1977, 6.3); its interval is
    read back through the ordered values (Woodruff 1952). A side is None where the values cannot bound it.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    sizes = np.bincount(owners) if len(owners) else np.zeros(0, dtype=np.int64)
    k, n = int((sizes > 0).sum()), len(values)
    if k < FEWEST:
        return None, None
    ordered = np.sort(values)
    at = ordered[min(n - 1, math.ceil(n * q) - 1)]
    below = np.bincount(owners, weights=values <= at, minlength=len(sizes))
    apart = below - below.sum() / n * sizes
    error = math.sqrt(k / (k - 1) * float((apart**2).sum())) / n
    # Clusters that do not scatter are no certainty: independent values would.
    half = t_quantile(0.5 + confidence / 2, k - 1) * max(error, math.sqrt(q * (1 - q) / n))
    low, high = math.floor(n * (q - half)), math.ceil(n * (q + half))
    return float(ordered[low - 1]) if low >= 1 else None, float(ordered[high]) if high < n else None
