"""Is b better than a? A paired answer, with `undecided` as a respectable one.

Two shields stand before a decision: Holm's p over all comparisons made together, and an interval that excludes 0. It
knows arrays of scores, no records and no targets' nature.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mlaas_lab.evaluation import margins
from mlaas_lab.evaluation.margins import NOTHING, Margins, Tails, adjusted, margin_of
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.stats import clusters
from mlaas_lab.stats.aggregates import Measured
from mlaas_lab.stats.clusters import FEWEST_GROUPS, Groups
from mlaas_lab.stats.intervals import Floats, Limits, Moments, is_binary, is_share
from mlaas_lab.stats.paired import Differences, difference_limits, mcnemar, pairs_needed, sign_flip
from mlaas_lab.stats.sums import blocks

ALPHA = 0.05
"""How often a family of comparisons may see a difference where there is none."""
FEWEST_PAIRS = 6
"""With five, not even five wins of five reach 5 % two-sided: 2 / 2^5 = 6.25 %."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two targets' scores by one metric, samples in the same order; those count that both have a score for."""

    a: str
    b: str
    metric: str
    scores_a: Floats
    """(samples,), NaN for none."""
    scores_b: Floats
    higher_is_better: bool | None
    """None when nobody knows, or neither way is: then no target is better."""
    groups: Groups | None = None
    """Of each sample with both scores (n,), where samples of one group are not independent; None: each for itself."""
    share: bool | None = None
    """Whether scores lie between 0 and 1, whatever these look like; None: as they look."""
    together: Measured | None = None
    """Both targets' answers, where the metric's number is made of all of them; None where it is the mean of scores."""

    whole: tuple[Moments, Moments] | None = None
    """Of all scores of a, and of all of b, where somebody has them: then these are not looked through again."""

    @cached_property
    def differences(self) -> Differences:
        """What b has more than a (n,)."""
        return Differences(a=self.scores_a, b=self.scores_b, binary=self.binary)

    @property
    def units(self) -> Floats | Differences:
        """What each independent unit adds to the mean difference (units,): a sample, or a group of them."""
        if self.groups is None or not len(self.groups):
            return self.differences
        return clusters.contributions(self.differences.values, self.groups)

    @property
    def n_units(self) -> int:
        """How many there are."""
        return self.differences.n if self.groups is None else int(self.groups.max(initial=-1)) + 1

    @property
    def scores(self) -> tuple[Floats, Floats]:
        """Of both, on the samples that both have a score for (n,)."""
        both = ~np.isnan(self.scores_a + self.scores_b)
        return self.scores_a[both], self.scores_b[both]

    @cached_property
    def binary(self) -> bool:
        """Every score of both is 0 or 1."""
        if self.whole is not None and all(one.binary for one in self.whole):
            return True
        return self._all(is_binary)

    @cached_property
    def shares(self) -> bool:
        """Every score of both lies within 0 and 1."""
        if self.whole is not None and all(one.share for one in self.whole):
            return True
        return self._all(is_share)

    def _all(self, look: Callable[[Floats], bool]) -> bool:
        """Of the scores that count, a portion at a time: most often the first one tells."""
        for a, b in zip(blocks(self.scores_a), blocks(self.scores_b), strict=True):
            both = ~np.isnan(a + b)
            if not (look(a[both]) and look(b[both])):
                return False
        return True


def decide(comparisons: Sequence[Comparison], *, seed: int = 0, margin: Margins = None) -> list[Verdict]:
    """A verdict for each comparison; all of them are one family for Holm.

    Args:
        comparisons: what was compared together.
        seed: of the bootstrap and the permutations.
        margin: of each metric, the loss that is just not borne. Then it is told whether b is not worse, and where
            neither is worse and the interval lies within ± margin, they are `equivalent`; None: nothing ever is.
    """
    measured = [_measured(comparison, seed) for comparison in comparisons]
    p_values = adjusted([found.p_value for found in measured])
    borne = [margin_of(margin, comparison.metric) for comparison in comparisons]
    tested = [_tails(comparison, one) for comparison, one in zip(comparisons, borne, strict=True)]
    worse = adjusted([tails.worse(one.higher_is_better) for tails, one in zip(tested, comparisons, strict=True)])
    both = adjusted([tails.both for tails in tested])
    family = [
        replace(found, p_adjusted=p_value, margin=one, p_not_worse=p_worse)
        for found, p_value, one, p_worse in zip(measured, p_values, borne, worse, strict=True)
    ]
    decided = [_decided(*each) for each in zip(comparisons, family, both, strict=True)]
    return [_borne(comparison, found) for comparison, found in zip(comparisons, decided, strict=True)]


def _tails(comparison: Comparison, margin: float | None) -> Tails:
    """The comparison against its margin."""
    if margin is None:
        return NOTHING
    if comparison.together is not None:
        return margins.tails_of(comparison.together, margin)
    return margins.tails(comparison.scores, margin, comparison.groups, share=comparison.share)


def _borne(comparison: Comparison, found: Verdict) -> Verdict:
    """With what is known of b being worse: who is better, or equivalent, is not."""
    if found.margin is None or comparison.higher_is_better is None:
        return found
    shown = found.p_not_worse is not None and found.p_not_worse < margins.ALPHA
    return replace(found, not_worse=shown or found.verdict in (Decision.B_BETTER, Decision.EQUIVALENT))


def _measured(comparison: Comparison, seed: int) -> Verdict:
    """Difference, interval and p-value, nothing decided yet."""
    low, high = _limits(comparison, seed)
    p_value, test = _tested(comparison, seed)
    return Verdict(
        a=comparison.a,
        b=comparison.b,
        metric=comparison.metric,
        difference=_difference(comparison),
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_adjusted=None,
        verdict=Decision.UNDECIDED,
        n=comparison.differences.n,
        test=test,
    )


def _difference(comparison: Comparison) -> float | None:
    if comparison.together is None:
        sums = comparison.differences.sums
        return sums.total / sums.n if sums.n else None
    a, b = comparison.together.values
    return b - a if math.isfinite(b - a) else None


def _limits(comparison: Comparison, seed: int) -> Limits:
    if comparison.together is not None:
        few = comparison.groups is not None and clusters.effective(comparison.groups) < FEWEST_GROUPS - 1e-9
        return (None, None) if few else comparison.together.difference_limits(seed=seed)
    groups = comparison.groups
    share = comparison.share is not False and comparison.shares
    if groups is None:
        return difference_limits(comparison.differences, share=share, seed=seed)
    return clusters.difference_limits(comparison.differences.values, groups, share=share, seed=seed)


def _tested(comparison: Comparison, seed: int) -> tuple[float | None, str]:
    """The p-value and the test it is from."""
    n, together, sums = comparison.n_units, comparison.together, comparison.differences.sums
    if together is not None:
        p_value = together.exchange(seed=seed) if n >= FEWEST_PAIRS else None
        grouped = "exchange" if comparison.groups is None else "exchange_groups"
        return p_value, "none" if p_value is None else grouped
    if n < FEWEST_PAIRS or not sums.n_other:
        return None, "none"
    if comparison.groups is not None:
        return sign_flip(comparison.units, seed=seed), "sign_flip_groups"
    if comparison.binary:
        return mcnemar(sums.n_other - sums.n_above, sums.n_above), "mcnemar"
    return sign_flip(comparison.differences, seed=seed), "sign_flip"


def _decided(comparison: Comparison, found: Verdict, p_apart: float | None) -> Verdict:
    """The verdict that interval and adjusted p allow; an interval nobody knows spans everything.

    `p_apart` is that of lying apart by the margin.
    """
    low = -math.inf if found.ci_low is None else found.ci_low
    high = math.inf if found.ci_high is None else found.ci_high
    margin = found.margin
    near = p_apart is not None and p_apart < margins.ALPHA
    if margin is not None and near and -margin < low and high < margin:
        return replace(found, verdict=Decision.EQUIVALENT)
    significant = found.p_adjusted is not None and found.p_adjusted < ALPHA
    if significant and (low > 0 or high < 0) and comparison.higher_is_better is not None:
        b_wins = (low > 0) == comparison.higher_is_better
        return replace(found, verdict=Decision.B_BETTER if b_wins else Decision.A_BETTER)
    return replace(found, reason=_reason(comparison, found), more_samples=_more(comparison, found))


def _reason(comparison: Comparison, found: Verdict) -> str:
    if found.n == 0:
        return "no sample has a score from both"
    if found.n < FEWEST_PAIRS:
        return f"{found.n} pairs, and fewer than {FEWEST_PAIRS} cannot tell"
    if comparison.together is not None and found.difference is None:
        return comparison.together.aggregate.trouble or "there is no such number"
    if comparison.groups is not None and clusters.effective(comparison.groups) < FEWEST_GROUPS:
        return f"{comparison.n_units} groups, and those that weigh like fewer than {FEWEST_GROUPS} cannot tell"
    if found.p_adjusted is None:
        return "no pair differs"
    if found.p_adjusted >= ALPHA:
        return f"p = {found.p_adjusted:.2g} over all that was compared"
    if comparison.higher_is_better is None:
        return f"nothing says which way is better by {comparison.metric!r}"
    return "the interval includes 0"


def _more(comparison: Comparison, found: Verdict) -> int | None:
    """About how many more pairs would settle it, in two digits, if later ones are like these."""
    n, difference, margin = comparison.n_units, found.difference, found.margin
    if difference is None or comparison.higher_is_better is None:
        return None
    alpha = ALPHA * found.p_value / found.p_adjusted if found.p_value and found.p_adjusted else ALPHA
    scatter = comparison.units if comparison.together is None else comparison.together.scatter
    needed = [pairs_needed(scatter, effect=difference, alpha=alpha)]
    if margin is not None and abs(difference) < margin:
        needed.append(pairs_needed(scatter, effect=margin - abs(difference), alpha=ALPHA))
    total = min((n for n in needed if n), default=None)
    if total is None:
        return None
    more = max(total, FEWEST_PAIRS, n + 1) - n
    return two_digits(math.ceil(more * found.n / n))


def two_digits(n: int) -> int:
    """`n` rounded up to two significant digits."""
    unit = int(10 ** max(0, len(str(n)) - 2))
    return -(-n // unit) * unit
