"""Is b not worse than a by more than a margin? The question behind "may we take the cheaper one".

No evidence of a difference is not evidence of none: here the burden lies on b. Paired and one-sided, it knows scores
and which way is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlaas_lab.stats.clusters import FEWEST_GROUPS, Groups, contributions, effective
from mlaas_lab.stats.intervals import Floats, is_binary, is_share
from mlaas_lab.stats.student import NORMAL, t_cdf, t_quantile

FEWEST_PAIRS = 6
"""Below, approximations by the normal distribution say nothing."""


@dataclass(frozen=True, kw_only=True)
class NotWorse:
    """Whether b may be taken for a."""

    holds: bool
    """b is not worse by the margin or more."""
    gain: float | None
    """How much better b is in the mean; negative where it is worse."""
    bound: float | None
    """b is surely at least this much better (one-sided); None where the scores cannot tell."""
    p_value: float | None
    """One-sided, of b being worse by the margin."""
    n: int
    """Pairs."""
    test: str
    """`tango` for scores of 0 and 1, `t` for others, `t_groups` over groups; `none` if there is too little to test."""


def not_worse(
    scores_a: Floats, scores_b: Floats, *, margin: float, higher_is_better: bool = True, alpha: float = 0.025
) -> NotWorse:
    """Whether b is worse than a by less than `margin`, on the same samples in the same order (n,).

    Args:
        scores_a: of the one that stands.
        scores_b: of the one that would replace it.
        margin: the loss one would just not bear, in units of the score, above 0.
        higher_is_better: else a lower score is a gain.
        alpha: one-sided; 2.5 % is half of the usual 5 % (ICH E9, section 5.5), so that it agrees with a 95 % interval.

    Raises:
        ValueError: unless the margin is above 0.
    """
    if not margin > 0:
        raise ValueError(f"a margin is above 0, not {margin!r}")
    gains = scores_b - scores_a if higher_is_better else scores_a - scores_b
    n = len(gains)
    gain = float(gains.mean()) if n else None
    shares = is_share(scores_a) and is_share(scores_b)
    if n < FEWEST_PAIRS or (not shares and np.ptp(gains) == 0):
        return NotWorse(holds=False, gain=gain, bound=None, p_value=None, n=n, test="none")
    if is_binary(scores_a) and is_binary(scores_b):
        p_value, bound, test = *_by_counts(gains, margin, alpha), "tango"
    else:
        p_value, bound, test = *_by_t(gains, margin, alpha, share=shares), "t"
    return NotWorse(holds=p_value < alpha, gain=gain, bound=bound, p_value=p_value, n=n, test=test)


def not_worse_in_groups(gains: Floats, groups: Groups, *, margin: float, share: bool, alpha: float = 0.025) -> NotWorse:
    """The same of `gains` (n,), how much better b is on each sample, that come in `groups` (n,).

    Student's t over what each group adds, with fewer degrees of freedom where sizes differ. What lies above the loss
    that is just not borne is what scatters, so that groups of different sizes add nothing to it.

    Args:
        gains: of b over a.
        groups: the group of each sample, as a number from 0.
        margin: as for `not_worse`.
        share: both scores lie between 0 and 1.
        alpha: one-sided.
    """
    n = len(gains)
    gain = float(gains.mean()) if n else None
    none = NotWorse(holds=False, gain=gain, bound=None, p_value=None, n=n, test="none")
    if n < FEWEST_PAIRS or effective(groups) < FEWEST_GROUPS - 1e-9:
        return none
    units = contributions(gains + margin, groups) - margin
    if not share and np.ptp(units) == 0:
        return none
    p_value, bound = _by_t(units, margin, alpha, share=share, freedom=effective(groups) - 1)
    return NotWorse(holds=p_value < alpha, gain=gain, bound=bound, p_value=p_value, n=n, test="t_groups")


def tango(wins: int, losses: int, n: int, *, difference: float) -> float:
    """Score statistic of `wins - losses` among `n` pairs, were the true difference of shares `difference` (Tango 1998).

    Normal under that difference; its variance is the one most likely under that difference. At 0 it is McNemar's.

    Raises:
        ValueError: unless |difference| < 1 and the counts fit.
    """
    if not (-1 < difference < 1 and 0 <= wins + losses <= n and n > 0):
        raise ValueError(
            f"tango needs |difference| < 1 and counts that fit, not {difference!r}, {wins}, {losses} of {n}"
        )
    b = -wins - losses + (2 * n - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    lost = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)  # share of pairs that are lost, restricted
    variance = n * (2 * lost + difference * (1 - difference))
    above = wins - losses - n * difference
    return above / math.sqrt(variance) if variance > 1e-12 else 0.0 if abs(above) < 1e-9 else math.copysign(40, above)


def _by_counts(gains: Floats, margin: float, alpha: float) -> tuple[float, float]:
    wins, losses, n = int((gains > 0).sum()), int((gains < 0).sum()), len(gains)
    wanted = NORMAL.inv_cdf(1 - alpha)
    lowest = 1e-9 - 1
    p_value = NORMAL.cdf(-tango(wins, losses, n, difference=max(-margin, lowest)))
    return p_value, _last(lambda d: tango(wins, losses, n, difference=d) >= wanted, lowest, (wins - losses) / n)


def _by_t(
    gains: Floats, margin: float, alpha: float, *, share: bool, freedom: float | None = None
) -> tuple[float, float]:
    """Student's t; of shares half a pair is added to each cell of the 2 × 2 table, so equal scores are no certainty."""
    n, more = len(gains), 0.5 if share else 0.0
    freedom = n - 1 if freedom is None else freedom
    mean = float(gains.sum()) / (n + 4 * more)
    variance = (float((gains**2).sum()) + 2 * more) / (n + 4 * more) - mean**2
    error = math.sqrt(variance / (n - 1))
    p_value = t_cdf(-(mean + margin) / error, freedom)
    return p_value, mean - t_quantile(1 - alpha, freedom) * error


def _last(excluded: Callable[[float], bool], low: float, high: float) -> float:
    """The end of the differences from `low` on that are excluded; `high` is not."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if excluded(middle) else (low, middle)
    return low
