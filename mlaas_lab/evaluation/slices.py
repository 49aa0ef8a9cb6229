"""How each target did on each group of samples: scores by slice, the worst of them, and whether the gap is noise.

It stands on records alone. The unit is the sample, repeats averaged; what has no score is in no slice's mean.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from mlaas_lab import registry
from mlaas_lab.evaluation.aggregating import is_aggregate
from mlaas_lab.records import metrics_of
from mlaas_lab.stats.fairness import Slice, gap_limits, slices
from mlaas_lab.stats.intervals import Floats

MOST = 50
"""Groups that are looked at; where there are more, samples come in groups (documents, users) and are no slices."""
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Sliced:
    """One target by one metric, group by group."""

    target: str
    metric: str
    slices: list[Slice]
    """Groups with at least two scored samples, in their order."""
    single: list[str]
    """Groups with one scored sample, of which nothing can be said."""
    unscored: list[str]
    """Groups without any."""
    n_without: int
    """Scored samples that belong to no group."""
    best: Slice | None
    """None unless two slices can be compared, and it is known which way is better."""
    worst: Slice | None
    gap: float | None
    """What lies between the means of best and worst; at least 0."""
    gap_low: float | None
    """Of an interval that holds for all pairs of slices at once (Bonferroni), since these two were picked out."""
    gap_high: float | None

    @property
    def noise(self) -> bool:
        """Nothing shows that best and worst differ."""
        return self.gap_low is None or self.gap_low <= 0


def sliced(frame: pl.DataFrame) -> list[Sliced]:
    """A line per metric and target, targets in their order; empty where no sample has a group, or too many groups."""
    if "group" not in frame.columns:
        return []
    frame = frame.with_columns(pl.col("group").cast(pl.String))
    groups = frame["group"].drop_nulls().unique(maintain_order=True).to_list()
    if not 0 < len(groups) <= MOST:
        return []
    targets = frame["target"].unique(maintain_order=True).to_list()
    return [
        _of(target, metric, scores.filter(scores["target"] == target), groups)
        for metric in metrics_of(frame.columns)
        # A number of all answers is no mean of a slice's scores.
        if not is_aggregate(metric)
        for scores in (_per_sample(frame, metric),)
        for target in targets
    ]


def _per_sample(frame: pl.DataFrame, metric: str) -> pl.DataFrame:
    """target, group and score of every sample with one."""
    key = [name for name in ("target", "sample_id", "reference", "group") if name in frame.columns]
    ok = pl.col(f"{metric}_status") == "ok"
    score = pl.col(metric).cast(pl.Float64)
    scored = frame.filter(ok & score.is_not_null() & score.is_not_nan()).select(*key, score=score)
    if "repeat" in frame.columns and frame["repeat"].max() == 0:
        return scored
    return scored.group_by(key, maintain_order=True).agg(pl.col("score").mean())


def _of(target: str, metric: str, scored: pl.DataFrame, groups: list[str]) -> Sliced:
    grouped = scored.drop_nulls("group").group_by("group", maintain_order=True)
    known = {str(key[0]): part["score"].to_numpy() for key, part in grouped}
    several = {name: known[name] for name in groups if len(known.get(name, ())) > 1}
    higher = _higher_is_better(metric)
    lines = slices(several, higher_is_better=higher is not False, alpha=ALPHA)
    worst, best = _extremes(lines, higher=higher)
    gap, gap_low, gap_high = _gap(best, worst, several)
    return Sliced(
        target=target,
        metric=metric,
        slices=lines,
        single=[name for name in groups if len(known.get(name, ())) == 1],
        unscored=[name for name in groups if name not in known],
        n_without=scored["group"].null_count(),
        best=best,
        worst=worst,
        gap=gap,
        gap_low=gap_low,
        gap_high=gap_high,
    )


def _extremes(lines: list[Slice], *, higher: bool | None) -> tuple[Slice | None, Slice | None]:
    """The worst and the best; the first of equals."""
    ordered = [(line.mean, line) for line in lines if line.mean is not None]
    if higher is None or len(ordered) < 2:
        return None, None
    low, high = min(ordered, key=lambda pair: pair[0])[1], max(ordered, key=lambda pair: pair[0])[1]
    return (low, high) if higher else (high, low)


def _gap(
    best: Slice | None, worst: Slice | None, scores: dict[str, Floats]
) -> tuple[float | None, float | None, float | None]:
    if best is None or worst is None or best.name == worst.name:
        return (None if best is None else 0.0), None, None
    top, bottom = sorted((scores[best.name], scores[worst.name]), key=lambda values: -float(np.mean(values)))
    pairs = len(scores) * (len(scores) - 1) // 2
    low, high = gap_limits(top, bottom, confidence=1 - ALPHA / pairs)
    return float(top.mean() - bottom.mean()), low, high


def _higher_is_better(metric: str) -> bool | None:
    """None where no such metric is installed to say so, or neither way is."""
    name, _ = registry.parted(metric)
    if name not in registry.names("metric"):
        return None
    found: bool | None = registry.load("metric", name).higher_is_better
    return found
