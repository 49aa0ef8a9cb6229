"""Is b better than a? A paired answer, with `undecided` as a respectable one.

Two shields stand before a decision: Holm's p over all comparisons made together, and an interval that excludes 0. It
knows arrays of scores, no records and no targets' nature.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlaas_lab.evaluation import margins
from mlaas_lab.evaluation.margins import NOTHING, Margins, Tails, adjusted, margin_of
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.stats import clusters
from mlaas_lab.stats.aggregates import Measured
from mlaas_lab.stats.clusters import FEWEST_GROUPS, Groups
from mlaas_lab.stats.intervals import Floats, Limits, is_binary, is_share
from mlaas_lab.stats.paired import difference_limits, mcnemar, pairs_needed, sign_flip

ALPHA = 0.05
"""How often a family of comparisons may see a difference where there is none."""
FEWEST_PAIRS = 6
"""With five, not even five wins of five reach 5 % two-sided: 2 / 2^5 = 6.25 %."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two targets' scores by one metric on the samples both have a score for, in the same order."""

    a: str
    b: str
    metric: str
    scores_a: Floats
    scores_b: Floats
    higher_is_better: bool | None
    """None when nobody knows, or neither way is: then no target is better."""
    groups: Groups | None = None
    """The group of each sample (n,), where samples of one group are not independent; None: each stands for itself."""
    share: bool | None = None
    """Whether scores lie between 0 and 1, whatever these look like; None: as they look."""
    together: Measured | None = None
    """Both targets' answers, where the metric's number is made of all of them; None where it is the mean of scores."""

    @property
    def differences(self) -> Floats:
        """What b has more than a (n,)."""
        return self.scores_b - self.scores_a

    @property
    def units(self) -> Floats:
        """What each independent unit adds to the mean difference (units,): a sample, or a group of them."""
        if self.groups is None or not len(self.groups):
            return self.differences
        return clusters.contributions(self.differences, self.groups)


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
    scores = comparison.scores_a, comparison.scores_b
    return margins.tails(scores, margin, comparison.groups, share=comparison.share)


def _borne(comparison: Comparison, found: Verdict) -> Verdict:
    """With what is known of b being worse: who is better, or equivalent, is not."""
    if found.margin is None or comparison.higher_is_better is None:
        return found
    shown = found.p_not_worse is not None and found.p_not_worse < margins.ALPHA
    return replace(found, not_worse=shown or found.verdict in (Decision.B_BETTER, Decision.EQUIVALENT))


def _measured(comparison: Comparison, seed: int) -> Verdict:
    """Difference, interval and p-value, nothing decided yet."""
    n, differences = len(comparison.scores_a), comparison.differences
    low, high = _limits(comparison, differences, seed)
    p_value, test = _tested(comparison, differences, seed)
    return Verdict(
        a=comparison.a,
        b=comparison.b,
        metric=comparison.metric,
        difference=_difference(comparison, differences),
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_adjusted=None,
        verdict=Decision.UNDECIDED,
        n=n,
        test=test,
    )


def _difference(comparison: Comparison, differences: Floats) -> float | None:
    if comparison.together is None:
        return float(differences.mean()) if len(differences) else None
    a, b = comparison.together.values
    return b - a if math.isfinite(b - a) else None


def _limits(comparison: Comparison, differences: Floats, seed: int) -> Limits:
    if comparison.together is not None:
        few = comparison.groups is not None and clusters.effective(comparison.groups) < FEWEST_GROUPS - 1e-9
        return (None, None) if few else comparison.together.difference_limits(seed=seed)
    groups = comparison.groups
    share = comparison.share is not False and is_share(comparison.scores_a) and is_share(comparison.scores_b)
    if groups is None:
        return difference_limits(differences, share=share, seed=seed)
    return clusters.difference_limits(differences, groups, share=share, seed=seed)


def _tested(comparison: Comparison, differences: Floats, seed: int) -> tuple[float | None, str]:
    """The p-value and the test it is from."""
    units, together = differences if comparison.groups is None else comparison.units, comparison.together
    if together is not None:
        p_value = together.exchange(seed=seed) if len(units) >= FEWEST_PAIRS else None
        grouped = "exchange" if comparison.groups is None else "exchange_groups"
        return p_value, "none" if p_value is None else grouped
    if len(units) < FEWEST_PAIRS or not differences.any():
        return None, "none"
    if comparison.groups is not None:
        return sign_flip(units, seed=seed), "sign_flip_groups"
    if is_binary(comparison.scores_a) and is_binary(comparison.scores_b):
        return mcnemar(int((differences < 0).sum()), int((differences > 0).sum())), "mcnemar"
    return sign_flip(differences, seed=seed), "sign_flip"


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
        return f"{len(comparison.units)} groups, and those that weigh like fewer than {FEWEST_GROUPS} cannot tell"
    if found.p_adjusted is None:
        return "no pair differs"
    if found.p_adjusted >= ALPHA:
        return f"p = {found.p_adjusted:.2g} over all that was compared"
    if comparison.higher_is_better is None:
        return f"nothing says which way is better by {comparison.metric!r}"
    return "the interval includes 0"


def _more(comparison: Comparison, found: Verdict) -> int | None:
    """About how many more pairs would settle it, in two digits, if later ones are like these."""
    units, difference, margin = comparison.units, found.difference, found.margin
    if difference is None or comparison.higher_is_better is None:
        return None
    alpha = ALPHA * found.p_value / found.p_adjusted if found.p_value and found.p_adjusted else ALPHA
    scatter = units if comparison.together is None else comparison.together.scatter
    needed = [pairs_needed(scatter, effect=difference, alpha=alpha)]
    if margin is not None and abs(difference) < margin:
        needed.append(pairs_needed(scatter, effect=margin - abs(difference), alpha=ALPHA))
    total = min((n for n in needed if n), default=None)
    if total is None:
        return None
    more = max(total, FEWEST_PAIRS, len(units) + 1) - len(units)
    return two_digits(math.ceil(more * found.n / len(units)))


def two_digits(n: int) -> int:
    """`n` rounded up to two significant digits."""
    unit = int(10 ** max(0, len(str(n)) - 2))
    return -(-n // unit) * unit
