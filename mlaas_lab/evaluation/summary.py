"""What a table of records says: a mean with its interval per target and metric, and a verdict per two targets.

It stands on records alone, so an evaluation that just ended and a Parquet file from last year are read the same way.
The unit of everything is the sample: repeats are averaged first, since they do not make more samples. A record without
a score is counted, never scored 0.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from mlaas_lab import registry
from mlaas_lab.evaluation.verdict import Comparison, decide
from mlaas_lab.records import metrics_of
from mlaas_lab.schema import Verdict
from mlaas_lab.stats.intervals import Floats, mean_limits


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How one target did by one metric."""

    target: str
    metric: str
    mean: float | None
    """Over samples with a score; None when there is none."""
    ci_low: float | None
    """Of a 95 % interval; None where the scores cannot tell."""
    ci_high: float | None
    n: int
    """Samples with a score."""
    n_error: int
    """Records without one: a failed call, or an answer that could not be scored."""


def summarize(
    frame: pl.DataFrame | pl.LazyFrame, *, seed: int = 0, margin: float | None = None
) -> tuple[list[Summary], list[Verdict]]:
    """Means and verdicts of all targets and metrics in `frame`, targets in the order they were named.

    Args:
        frame: records, of several runs too: a target that stands in more than one is then named `target @ run_id`.
        seed: of the bootstrap and the permutations.
        margin: a difference that surely stays within ± margin is `equivalent`; None: nothing ever is.
    """
    records = told_apart(frame.lazy().collect())
    targets = records["target"].unique(maintain_order=True).to_list()
    summary: list[Summary] = []
    comparisons: list[Comparison] = []
    for metric in metrics_of(records.columns):
        scores = _scores(records, metric, targets)
        missing = _unscored(records, metric)
        summary += [_summary(target, metric, scores[target], missing.get(target, 0)) for target in targets]
        comparisons += [_comparison(a, b, metric, scores) for a, b in combinations(targets, 2)]
    return summary, decide(comparisons, seed=seed, margin=margin)


def told_apart(records: pl.DataFrame) -> pl.DataFrame:
    """The same target in two runs is two things to compare."""
    if "run_id" not in records.columns:
        return records
    several = pl.col("run_id").n_unique().over("target") > 1
    named = pl.format("{} @ {}", "target", pl.col("run_id").fill_null("?"))
    return records.with_columns(target=pl.when(several).then(named).otherwise("target"))


def _value(metric: str) -> pl.Expr:
    """The score where there is one; not a number is none."""
    return pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric).fill_nan(None))


def _scores(records: pl.DataFrame, metric: str, targets: list[str]) -> dict[str, Floats]:
    """Score per sample (samples,), the mean of its repeats, NaN for none; samples in one order for all targets.

    Samples are the same only if their references are too: two files may both number their rows 1, 2, 3.
    """
    key = [name for name in ("sample_id", "reference") if name in records.columns]
    means = [_value(metric).filter(pl.col("target") == target).mean().alias(target) for target in targets]
    table = records.group_by(key, maintain_order=True).agg(means)
    return {target: table[target].cast(pl.Float64).fill_null(np.nan).to_numpy() for target in targets}


def _unscored(records: pl.DataFrame, metric: str) -> dict[str, int]:
    counts = records.group_by("target").agg(n=_value(metric).is_null().sum())
    return dict(counts.iter_rows())


def _summary(target: str, metric: str, scores: Floats, n_error: int) -> Summary:
    values = scores[~np.isnan(scores)]
    low, high = mean_limits(values)
    mean = float(values.mean()) if len(values) else None
    return Summary(target=target, metric=metric, mean=mean, ci_low=low, ci_high=high, n=len(values), n_error=n_error)


def _comparison(a: str, b: str, metric: str, scores: dict[str, Floats]) -> Comparison:
    both = ~(np.isnan(scores[a]) | np.isnan(scores[b]))
    known = metric in registry.names("metric")
    better = registry.load("metric", metric).higher_is_better if known else None
    return Comparison(
        a=a, b=b, metric=metric, scores_a=scores[a][both], scores_b=scores[b][both], higher_is_better=better
    )
