"""What a table of records says: a mean with its interval per target and metric, and a verdict per two targets.

It stands on records alone, so an evaluation that just ended and a Parquet file from last year are read the same way.
The unit of everything is the sample: repeats are averaged first, since they do not make more samples. A record without
a score is counted, never scored 0. Where samples come in groups that are drawn (documents, users), whole groups are
what scatters; a few fixed kinds (languages, channels) leave each sample for itself. Where a metric's number is no mean
(macro F1), it is made of all answers of a target together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab.evaluation import stopping
from mlaas_lab.evaluation.aggregating import Facts, facts, is_aggregate, is_share, known
from mlaas_lab.evaluation.gridded import Gridded, gridded, value_of
from mlaas_lab.evaluation.layout import Grid, grid, key_of, narrowed
from mlaas_lab.evaluation.margins import Margins
from mlaas_lab.evaluation.sharing import shared
from mlaas_lab.evaluation.verdict import Comparison
from mlaas_lab.records import metrics_of
from mlaas_lab.schema import Verdict
from mlaas_lab.stats import clusters
from mlaas_lab.stats.clusters import Groups
from mlaas_lab.stats.intervals import Floats, Moments, mean_limits


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How one target did by one metric."""

    target: str
    metric: str
    mean: float | None
    """Over samples with a score, or the number that the metric makes of all of them; None when there is none."""
    ci_low: float | None
    """Of a 95 % interval; None where the scores cannot tell."""
    ci_high: float | None
    n: int
    """Samples with a score."""
    n_error: int
    """Records without one: a failed call, or an answer that could not be scored."""
    n_groups: int | None = None
    """Groups the samples come in, where the interval stands on groups; None: each sample stands for itself."""
    grouping: str | None = None
    """How groups were taken: `drawn` or `kinds`, by how they look; `dependent` or `alone`, as somebody said; None where
    samples have none."""
    spread: float | None = None
    """Standard deviation between repeats of one sample, pooled over samples; None where none was scored twice."""
    reason: str | None = None
    """Why there is no mean although there are scores; None where there is one, or nothing was scored."""


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """Scores by one metric, samples in one order for all targets."""

    by_target: dict[str, Floats]
    """(samples,) each, NaN for none."""
    moments: dict[str, Moments | None]
    """Of each target's scores; None where it has none."""
    groups: Groups | None
    """(samples,); None where each sample stands for itself."""
    facts: Facts | None
    """What a number of all answers is made of; None where it is their mean."""
    seed: int

    def among(self, chosen: NDArray[np.bool_]) -> Groups | None:
        """The groups of some samples, numbered anew without gaps."""
        return None if self.groups is None else _anew(self.groups[chosen])


def summarize(
    frame: pl.DataFrame | pl.LazyFrame, *, seed: int = 0, margin: Margins = None, grouped: bool | None = None
) -> tuple[list[Summary], list[Verdict]]:
    """Means and verdicts of all targets and metrics in `frame`, targets in the order they were named.

    Args:
        frame: records, of several runs too: a target that stands in more than one is then named `target @ run_id`.
        seed: of the bootstrap and the permutations.
        margin: the loss that is just not borne, as for `decide`; None: nothing is `equivalent`.
        grouped: whether samples of one group scatter together; None: where groups look drawn (`clusters.are_draws`).
    """
    columns = frame.lazy().collect_schema().names()
    metrics = metrics_of(columns)
    reasons = [f"{metric}_reason" for metric in metrics if is_aggregate(metric)]
    more = [stopping.COLUMN, "error", *reasons] if _ruled(frame, columns) else reasons
    across = gridded(frame)
    read = metrics if across is None else [metric for metric in metrics if is_aggregate(metric)]
    more = [*more, "group"] if across is None else more
    needed = across is None or read or more
    values = {metric: value_of(metric) for metric in read}
    records = told_apart(narrowed(frame, values, more)) if needed else pl.DataFrame()
    # Two runs of one target are two targets, which the keys do not know.
    whole = across.grid if across else grid(records)
    groups, grouping = _groups(records, across, grouped)
    # Words are most of a large table's memory, and these were read.
    records = records.drop("group", strict=False)
    targets = whole.targets if whole else records["target"].unique(maintain_order=True).to_list()
    summary: list[Summary] = []
    comparisons: list[Comparison] = []
    for metric in metrics:
        by_target = across.scores[metric] if across else _by_target(records, metric, targets, whole)
        scores = _Scored(
            by_target=by_target,
            moments={target: Moments.among(values) for target, values in by_target.items()},
            groups=groups,
            facts=facts(records, metric, value_of(metric), key_of(records.columns), whole),
            seed=seed,
        )
        missing, spread = _unscored(records, metric, scores, whole), _spread(records, metric)
        lines = [_summary(target, metric, scores, missing.get(target, 0)) for target in targets]
        summary += [replace(line, spread=spread.get(line.target), grouping=grouping) for line in lines]
        comparisons += [_comparison(a, b, metric, scores) for a, b in combinations(targets, 2)]
        records = records.drop(metric, f"{metric}_status", strict=False)
    return summary, stopping.verdicts(records, comparisons, seed=seed, margin=margin)


@shared
def summarized(frame: pl.DataFrame | pl.LazyFrame) -> tuple[list[Summary], list[Verdict]]:
    """The same as nobody asked for otherwise."""
    return summarize(frame)


def told_apart(records: pl.DataFrame) -> pl.DataFrame:
    """The same target in two runs is two things to compare."""
    if "run_id" not in records.columns or records["run_id"].n_unique() == 1:
        return records
    several = pl.col("run_id").n_unique().over("target") > 1
    named = pl.format("{} @ {}", "target", pl.col("run_id").fill_null("?"))
    return records.with_columns(target=pl.when(several).then(named).otherwise("target"))


def _ruled(frame: pl.DataFrame | pl.LazyFrame, columns: Sequence[str]) -> bool:
    """Whether a record carries a rule by which asking stops."""
    if stopping.COLUMN not in columns:
        return False
    known = pl.col(stopping.COLUMN).is_not_null().any()
    return bool(frame.lazy().select(known).collect(engine="streaming").item())


def _by_target(records: pl.DataFrame, metric: str, targets: Sequence[str], whole: Grid | None) -> dict[str, Floats]:
    """Score per sample, the mean of its repeats; samples in one order for all targets (samples,), NaN for none."""
    if whole is not None:
        parts = whole.parts(records.select(value_of(metric).fill_null(math.nan)).to_series())
        return {target: part.to_numpy() for target, part in parts.items()}
    means = [value_of(metric).filter(pl.col("target") == target).mean().alias(target) for target in targets]
    table = records.group_by(key_of(records.columns), maintain_order=True).agg(means)
    return {target: table[target].cast(pl.Float64).fill_null(math.nan).to_numpy() for target in targets}


def _groups(records: pl.DataFrame, across: Gridded | None, grouped: bool | None) -> tuple[Groups | None, str | None]:
    """The group of each sample (samples,) as a number, where groups are what scatters, and how that was decided.

    A sample without a group is a group of its own.
    """
    if across is not None:
        names = across.groups
    elif "group" in records.columns and records["group"].null_count() < len(records):
        first = pl.col("group").drop_nulls().first()
        names = records.group_by(key_of(records.columns), maintain_order=True).agg(first)["group"]
    else:
        names = None
    if names is None:
        return None, None
    if grouped is False:
        return None, "alone"
    codes = names.cast(pl.Categorical).to_physical().cast(pl.Int64)
    alone = names.is_null().to_numpy()
    numbers = codes.fill_null(0).to_numpy() + len(names)
    numbers[alone] = np.arange(int(alone.sum()))
    found = _anew(numbers)
    if grouped:
        return found, "dependent"
    if clusters.are_draws(found):
        return found, "drawn"
    return None, "kinds" if int(found.max(initial=-1)) + 1 < len(found) else None


def _anew(numbers: Groups) -> Groups:
    """The same groups, numbered without gaps."""
    places: Groups = np.cumsum(np.bincount(numbers) > 0) - 1
    return places[numbers]


def _unscored(records: pl.DataFrame, metric: str, scores: _Scored, whole: Grid | None) -> dict[str, int]:
    if whole is not None:
        return {target: whole.n - (one.n if one else 0) for target, one in scores.moments.items()}
    counts = records.group_by("target").agg(n=value_of(metric).is_null().sum())
    return dict(counts.iter_rows())


def _spread(records: pl.DataFrame, metric: str) -> dict[str, float]:
    """By target, the standard deviation of scores within samples, pooled: √(Σ (x - mean of its sample)² / Σ (r - 1)).

    The within-sample mean square of a one-way analysis of variance (Snedecor & Cochran 1989, section 12.3), over
    samples with r > 1 scored repeats; a metric whose number is no mean has none.
    """
    if is_aggregate(metric) or "repeat" not in records.columns or not records["repeat"].max():
        return {}
    several = records.group_by("target", *key_of(records.columns)).agg(
        n=value_of(metric).count(), var=value_of(metric).var()
    )
    several = several.filter(pl.col("n") > 1)
    pooled = ((pl.col("n") - 1) * pl.col("var")).sum() / (pl.col("n") - 1).sum()
    return dict(several.group_by("target").agg(pooled.sqrt()).iter_rows())


def _summary(target: str, metric: str, scores: _Scored, n_error: int) -> Summary:
    own, share = scores.moments[target], is_share(metric)
    if own is None:
        n_groups = None if scores.groups is None else 0
        return Summary(
            target=target, metric=metric, mean=None, ci_low=None, ci_high=None, n=0, n_error=n_error, n_groups=n_groups
        )
    scored = None if scores.groups is None and scores.facts is None else ~np.isnan(scores.by_target[target])
    groups = None if scored is None else scores.among(scored)
    if groups is None:
        low, high = mean_limits(own, share=share)
    else:
        low, high = clusters.mean_limits(scores.by_target[target][scored], groups, share=share)
    line = Summary(
        target=target,
        metric=metric,
        mean=own.mean,
        ci_low=low,
        ci_high=high,
        n=own.n,
        n_error=n_error,
        n_groups=None if groups is None else int(groups.max()) + 1,
    )
    if scores.facts is None or scored is None:
        return line
    found = scores.facts.of([target], scored, groups)
    (value,) = found.values
    low, high = found.limits(seed=scores.seed)
    if not math.isfinite(value):
        return replace(line, mean=None, ci_low=None, ci_high=None, reason=scores.facts.aggregate.trouble)
    return replace(line, mean=value, ci_low=low, ci_high=high)


def _comparison(a: str, b: str, metric: str, scores: _Scored) -> Comparison:
    scores_a, scores_b = scores.by_target[a], scores.by_target[b]
    whole, found = (scores.moments[a], scores.moments[b]), known(metric)
    groups, together = None, None
    if scores.groups is not None or scores.facts is not None:
        both = ~np.isnan(scores_a + scores_b)
        groups = scores.among(both)
        together = scores.facts.of([a, b], both, groups) if scores.facts is not None and both.any() else None
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        scores_a=scores_a,
        scores_b=scores_b,
        higher_is_better=None if found is None else found.higher_is_better,
        groups=groups,
        share=is_share(metric),
        together=together,
        whole=None if whole[0] is None or whole[1] is None else (whole[0], whole[1]),
    )
