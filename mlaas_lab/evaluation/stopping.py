"""May an evaluation stop paying? As soon as every comparison by one metric is decided, at five looks or at any time.

A sample that was stopped when it looked good is no fixed sample, and its tests would be wrong too often. So every
record carries the rule, and whoever compares records that have one gets verdicts by repeated confidence intervals, or
by a confidence sequence, which hold whenever one stops. This file knows comparisons and frames of records; it asks
nobody.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import orjson
import polars as pl

from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.margins import Margins, margin_of
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.verdict import ALPHA, Comparison, decide, two_digits
from mlaas_lab.schema import Decision, Sample, Verdict
from mlaas_lab.stats.clusters import are_draws
from mlaas_lab.stats.intervals import Limits
from mlaas_lab.stats.monitoring import bound, price_over_looks
from mlaas_lab.stats.sequential import allowed, looks
from mlaas_lab.stats.standardized import limits_at, standardized

COLUMN = "until_decided"
TEST = "group_sequential"
ANY_TIME = "always_valid"
MOST_LOOKS = 200
"""At any time: each costs a reading of all records, and more would stop a few samples earlier."""
UNASKED = ("cancelled", "cap_reached")
"""Errors of samples that nobody was asked."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When an evaluation stops before all its samples are asked."""

    metric: str
    """What must be decided."""
    planned: int
    """Samples, if nothing is decided before."""
    comparisons: int
    """Made together by that metric: each may raise its part of the false alarms (Bonferroni)."""
    margin: Margins = None
    """A difference that surely stays within ± that of its metric is decided too: `equivalent`."""
    any_time: bool = False
    """Somebody may look whenever he likes, not five times."""

    @property
    def alpha(self) -> float:
        """Two-sided false alarms of one comparison over all looks."""
        return ALPHA / self.comparisons

    @property
    def text(self) -> str:
        """What stands in records."""
        return orjson.dumps(asdict(self)).decode()

    @property
    def more_samples(self) -> int:
        """How many samples more than five looks it may take to find what they find, in two digits."""
        if not self.any_time:
            return 0
        return two_digits(math.ceil(self.planned * (price_over_looks(self.planned, alpha=self.alpha) - 1)))


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where a comparison stands when somebody looks."""

    z: float
    """How far the differences stand out."""
    boundary: float
    """What |z| must reach."""
    difference: float
    ci_low: float | None
    """Of an interval that holds whenever one stops."""
    ci_high: float | None
    open: str
    """Why it is not decided, if it is not."""

    @property
    def decided(self) -> bool:
        """There is a difference, and asking may stop."""
        return abs(self.z) >= self.boundary


def planned(
    name: str,
    metrics: Mapping[str, Metric],
    samples: Sequence[Sample],
    *,
    targets: int,
    grouped: bool | None = None,
) -> Rule:
    """The rule that stops by metric `name`, at five looks and without a margin.

    Args:
        name: of the metric.
        metrics: all of them.
        samples: what there is to ask.
        targets: how many are compared.
        grouped: whether samples of one group depend on each other; None: as they look.

    Raises:
        UsageError: if nobody could look before the end, or looking would be wrong too often.
    """
    metric, short = metrics[name], name.partition("?")[0]
    other = "Choose another metric, or leave --until-decided out."
    if targets < 2:
        raise UsageError("--until-decided compares targets, and there is one.", next="Name two or more --targets.")
    if (metric.score is None and metric.judge is None) or metric.aggregate is not None:
        raise UsageError(f"--until-decided: {short} is known only when all answers are there.", next=other)
    if metric.higher_is_better is None:
        raise UsageError(f"--until-decided: nothing says which way is better by {short}.", next=other)
    if grouped is not False and (how := _dependent([sample.group for sample in samples], grouped)):
        raise UsageError(
            f"--until-decided: the samples come in groups that {how}, and looks take each for itself.",
            next="Leave --until-decided out, or say that they do not depend on each other: --grouped no.",
        )
    return Rule(metric=name, planned=len(samples), comparisons=targets * (targets - 1) // 2)


def _dependent(names: Sequence[str | None], grouped: bool | None) -> str:
    """Why samples with these groups are not independent; empty if they are."""
    if grouped and any(names):
        return "depend on each other (--grouped yes)"
    drawn = all(names) and are_draws(np.unique(np.array(names, dtype=str), return_inverse=True)[1])
    return "look drawn from many" if drawn else ""


def verdicts(
    records: pl.DataFrame, comparisons: Sequence[Comparison], *, seed: int = 0, margin: Margins = None
) -> list[Verdict]:
    """A verdict for each comparison of `records`: by their rule if they have one, else as `decide` does."""
    rules = records[COLUMN].drop_nulls().unique().to_list() if COLUMN in records.columns else []
    if not rules:
        return decide(comparisons, seed=seed, margin=margin)
    runs = records["run_id"].n_unique() if "run_id" in records.columns else 1
    if len(rules) > 1 or records[COLUMN].null_count() or runs > 1:
        return [_beside(one) for one in decide(comparisons, seed=seed, margin=margin)]
    rule = Rule(**orjson.loads(rules[0]))
    # What the intervals say of a margin holds whoever names it, and when.
    rule = rule if rule.margin is not None else replace(rule, margin=margin)
    return judged(comparisons, rule, n_asked(records))


def _beside(found: Verdict) -> Verdict:
    """A difference from another run: shown, but no fixed sample's interval or p holds for it."""
    why = "a run that stopped when it was decided says nothing beside another run"
    unknown = ("ci_low", "ci_high", "p_value", "p_adjusted", "p_not_worse", "more_samples")
    none: dict[str, Any] = dict.fromkeys(unknown)
    shown = None if found.not_worse is None else False
    return replace(found, verdict=Decision.UNDECIDED, test=TEST, reason=why, not_worse=shown, **none)


def judged(comparisons: Sequence[Comparison], rule: Rule, asked: int) -> list[Verdict]:
    """A verdict for each comparison, `asked` samples being there of those that `rule` plans.

    The rule's metric comes first. The others are tested in their order, each only where all before it differ for that
    pair: then all together raise no more false alarms than the first alone (Maurer & Bretz 2013, section 3). Where one
    is equivalent, nothing was rejected whose chance of a false alarm the next could have.
    """
    found: dict[int, Verdict] = {}
    first = sorted(range(len(comparisons)), key=lambda i: (_pair(comparisons[i]), comparisons[i].metric != rule.metric))
    for _, places in groupby(first, key=lambda i: _pair(comparisons[i])):
        waits = ""
        for i in places:
            found[i] = _borne(_verdict(comparisons[i], rule, asked, waits=waits), comparisons[i], counts=not waits)
            if not waits and comparisons[i].higher_is_better is not None:
                waits = _waits(found[i])
    return [found[i] for i in range(len(comparisons))]


def _pair(comparison: Comparison) -> tuple[str, str]:
    return comparison.a, comparison.b


def _waits(found: Verdict) -> str:
    """Why the metrics after this one do not count; empty if they do."""
    match found.verdict:
        case Decision.A_BETTER | Decision.B_BETTER:
            return ""
        case Decision.EQUIVALENT:
            return f"it counts only where {found.metric} tells them apart"
        case Decision.UNDECIDED:
            return f"it counts only once {found.metric} is decided"


def _borne(found: Verdict, comparison: Comparison, *, counts: bool) -> Verdict:
    """With whether b is shown not to be worse by the margin: the interval says so, whenever one stops."""
    if found.margin is None or comparison.higher_is_better is None:
        return found
    least = found.ci_low if comparison.higher_is_better else None if found.ci_high is None else -found.ci_high
    within = least is not None and least > -found.margin
    return replace(found, not_worse=(counts and within) or found.verdict is Decision.B_BETTER)


def _verdict(comparison: Comparison, rule: Rule, asked: int, *, waits: str) -> Verdict:
    n, margin = comparison.differences.n, margin_of(rule.margin, comparison.metric)
    none = Verdict(
        a=comparison.a,
        b=comparison.b,
        metric=comparison.metric,
        difference=None,
        ci_low=None,
        ci_high=None,
        p_value=None,
        p_adjusted=None,
        verdict=Decision.UNDECIDED,
        n=n,
        test="none",
        margin=margin,
    )
    if not n:
        return replace(none, reason="no sample has a score from both")
    if comparison.together is not None:
        return replace(none, reason="it is made of all answers together, and looks take each for itself")
    look = looked(comparison, rule, asked)
    low, high = _limits(comparison, look)
    test = ANY_TIME if rule.any_time else TEST
    shown = replace(none, difference=look.difference, ci_low=low, ci_high=high, test=test)
    if comparison.higher_is_better is None:
        return replace(shown, reason=f"nothing says which way is better by {comparison.metric!r}")
    if waits:
        return replace(shown, reason=waits)
    if look.decided:
        b_wins = (look.z > 0) == comparison.higher_is_better
        return replace(shown, verdict=Decision.B_BETTER if b_wins else Decision.A_BETTER)
    if margin is not None and low is not None and high is not None and -margin < low and high < margin:
        return replace(shown, verdict=Decision.EQUIVALENT)
    return replace(shown, reason=look.open)


def looked(comparison: Comparison, rule: Rule, asked: int) -> Stand:
    """Where `comparison` stands when `asked` samples are there; earlier looks were made when the rule allows them."""
    differences = comparison.differences.values
    difference, z = float(differences.mean()), standardized(differences)
    if rule.any_time:
        boundary = bound(len(differences), planned=rule.planned, alpha=rule.alpha)
        low, high = limits_at(differences, boundary)
        why = (
            f"the differences do not stand out enough to stop at any time, after {asked:,} of {rule.planned:,} samples"
        )
        return Stand(z=z, boundary=boundary, difference=difference, ci_low=low, ci_high=high, open=why)
    done = sum(at < asked for at in looks(rule.planned))
    look = allowed(done, asked, rule.planned, differences, alpha=rule.alpha)
    why = f"the differences do not stand out enough at look {look.number} of five"
    return Stand(z=z, boundary=look.boundary, difference=difference, ci_low=look.ci_low, ci_high=look.ci_high, open=why)


def _limits(comparison: Comparison, look: Stand) -> Limits:
    """Of the difference; where all pairs of shares differ alike, one pair more of each kind leaves room for others."""
    low, high = look.ci_low, look.ci_high
    if not comparison.shares:
        return low, high
    if low is None:
        low, high = limits_at(np.concatenate([comparison.differences.values, [-1.0, 0.0, 0.0, 1.0]]), look.boundary)
    return (None, None) if low is None or high is None else (max(-1.0, low), min(1.0, high))


def n_asked(records: pl.DataFrame) -> int:
    """Samples that every target was asked."""
    if "error" in records.columns:
        records = records.filter(pl.col("error").is_in(UNASKED).not_().fill_null(True))
    found = records.group_by("target").agg(pl.col("sample_id").n_unique())["sample_id"].min()
    return found if isinstance(found, int) else 0


def ends(rule: Rule | None, samples: int, *, at_once: int = 1) -> list[int]:
    """After how many samples somebody looks; at any time: whenever `at_once` more are there that could decide."""
    if rule is None:
        return [samples]
    if not rule.any_time:
        return looks(samples)
    step = max(1, at_once, -(-samples // MOST_LOOKS))
    early = range(step, samples, step)
    return [*(n for n in early if bound(n, planned=rule.planned, alpha=rule.alpha) ** 2 <= n), samples]
