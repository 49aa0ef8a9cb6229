"""Samples that come in groups: ten questions on one document are not ten independent samples.

The group is the unit. A mean's interval counts scatter between groups, a difference's interval draws whole groups, and
few groups give a wide interval or none. It knows numbers and the group of each, not what a group is.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.intervals import Floats, Limits, is_share
from mlaas_lab.stats.paired import FEW_KINDS, RESAMPLES, is_even
from mlaas_lab.stats.student import NORMAL, t_quantile
from mlaas_lab.stats.sums import Sums

Groups = NDArray[np.int64]
"""The group of each value (n,), as a number from 0; every number up to the highest occurs."""

FEWEST_GROUPS = 6
"""With five, not even five groups of five that agree reach 5 % two-sided: 2 / 2^5 = 6.25 %."""
MANY_GROUPS = 20
"""From here on groups are taken as drawn from many, however large they are."""


def are_draws(groups: Groups) -> bool:
    """Whether the groups look drawn from many (documents, users), not like a few fixed kinds (languages, channels).

    Draws: several values share a group, and there are 20 groups or at least as many as values in the average one.
    Between fixed kinds nothing is drawn: values scatter within them, and each kind is looked at for itself.
    """
    count, n = _count(groups), len(groups)
    return n > count and (count >= MANY_GROUPS or n <= count * count)


def effective(groups: Groups) -> float:
    """How many groups of one size would say as much: n² / Σ n_g² (Kish 1965; Carter, Schnepel & Steigerwald 2017)."""
    sizes = np.bincount(groups)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(groups) else 0.0


def standard_error(values: Floats, groups: Groups) -> float | None:
    """Of the mean of `values` (n,), by leaving out each group in turn; None below two groups.

    For groups of one size this is Liang & Zeger's (1986) estimate times G / (G - 1); where one group is large, theirs
    is far too small and this is not (Bell & McCaffrey 2002, the jackknife).
    """
    count = _count(groups)
    if count < 2:
        return None
    shares = np.bincount(groups) / len(values)  # (G,)
    residuals = _sums(values - values.mean(), groups) / len(values)
    return math.sqrt((count - 1) / count * float(((residuals / (1 - shares)) ** 2).sum()))


def mean_limits(values: Floats, groups: Groups, *, share: bool | None = None, confidence: float = 0.95) -> Limits:
    """Limits of the mean of `values` (n,) that come in groups: Student's t with G - 1 degrees, fewer if sizes differ.

    Shares, or, if `share` is None, what looks like them, first get two average groups of zeros and two of ones, as
    single values do in `intervals.mean_limits`. None where all weight lies in fewer than two groups, or numbers do not
    spread.
    """
    freedom = effective(groups) - 1
    if freedom < 1 - 1e-9:
        return None, None
    if share is False or not is_share(values):
        if np.ptp(_per_group(values, groups)) == 0:
            return None, None
        return _around(values, groups, t_quantile(0.5 + confidence / 2, freedom))
    count, size = _count(groups), max(1, round(len(values) / _count(groups)))
    padding = np.repeat([0.0, 0.0, 1.0, 1.0], size)
    padded = np.concatenate([groups, count + np.repeat(np.arange(4), size)])
    low, high = _around(np.concatenate([values, padding]), padded, t_quantile(0.5 + confidence / 2, freedom))
    return max(0.0, low), min(1.0, high)


def difference_limits(
    differences: Floats, groups: Groups, *, share: bool, seed: int = 0, confidence: float = 0.95
) -> Limits:
    """Limits of the mean difference (n,) by a bootstrap of whole groups (Davison & Hinkley 1997, section 3.8).

    As in `paired.difference_limits`: where both scores are shares, half an average group is added to each cell of the
    2 × 2 table. Percentiles are widened for few groups (Hesterberg 2015, section 5.4). Where `influence.EVEN` groups
    carry the weight they are those of the normal limit of a ratio (Cochran 1977, section 6.4). None where it lies in
    fewer than six groups, or other numbers do not spread.
    """
    if effective(groups) < FEWEST_GROUPS - 1e-9:
        return None, None
    sizes = np.bincount(groups).astype(np.float64)
    sums = _sums(differences, groups)
    count, weighing = len(sizes), effective(groups)
    if not share and np.ptp(sums / sizes) == 0:
        return None, None
    if share:
        # Twice each group, so that half a group more is one entry.
        size = len(differences) / count
        sums = np.concatenate([sums, sums, [-size, 0.0, 0.0, size]])
        sizes = np.concatenate([sizes, sizes, np.full(4, size)])
    tail = NORMAL.cdf(t_quantile(0.5 - confidence / 2, weighing - 1) * math.sqrt(weighing / (weighing - 1)))
    if (error := _limiting_error(sums, sizes, count)) is not None:
        mean, half = float(sums.sum() / sizes.sum()), NORMAL.inv_cdf(1 - tail) * error
        return mean - half, mean + half
    means = _resampled(sums, sizes, count, np.random.default_rng(seed))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def contributions(differences: Floats, groups: Groups) -> Floats:
    """What each group adds to the mean difference (G,): its sum over the average size, so that their mean is that mean.

    Under no difference a group's contribution could as well have the other sign, as a whole.
    """
    sums = _sums(differences, groups)
    return sums * (len(sums) / len(differences))


def _count(groups: Groups) -> int:
    return int(groups.max()) + 1 if len(groups) else 0


def _sums(values: Floats, groups: Groups) -> Floats:
    """The sum of each group (G,)."""
    return np.bincount(groups, weights=values).astype(np.float64)


def _per_group(values: Floats, groups: Groups) -> Floats:
    """The mean of each group (G,)."""
    return _sums(values, groups) / np.bincount(groups)


def _around(values: Floats, groups: Groups, quantile: float) -> tuple[float, float]:
    mean, error = float(values.mean()), standard_error(values, groups) or 0.0
    return mean - quantile * error, mean + quantile * error


def _limiting_error(sums: Floats, sizes: Floats, count: int) -> float | None:
    """Of the mean over `count` groups drawn from these; None where few groups carry all the weight."""
    residuals = sums - sums.sum() / sizes.sum() * sizes
    found = Sums.of(residuals)
    # There may be more sums than are drawn at a time.
    if not is_even(found.square, found.fourth * found.n / count):
        return None
    return math.sqrt(found.square / found.n / count) / float(sizes.mean())


def _resampled(sums: Floats, sizes: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Means (draws,) over `count` groups drawn with replacement; many equal groups are drawn as one."""
    kinds, times = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    if kinds.shape[1] * FEW_KINDS <= len(sums):
        drawn = generator.multinomial(count, times / len(sums), size=RESAMPLES) @ kinds.T  # (draws, 2)
        return np.asarray(drawn[:, 0] / drawn[:, 1])
    rows = max(1, 4_000_000 // count)
    means = []
    for start in range(0, RESAMPLES, rows):
        places = generator.integers(len(sums), size=(min(rows, RESAMPLES - start), count), dtype=np.uint32)
        means.append(sums[places].sum(axis=1) / sizes[places].sum(axis=1))
    return np.concatenate(means)
