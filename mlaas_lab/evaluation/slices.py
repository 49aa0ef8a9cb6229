"""How each target did on each group of samples: scores by slice, the worst of them, and whether the gap is noise.

It stands on records alone. The unit is the sample, repeats averaged; what has no score is in no slice's mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab import registry
from mlaas_lab.evaluation.aggregating import Facts, facts, is_aggregate
from mlaas_lab.evaluation.gridded import Gridded, gridded, value_of
from mlaas_lab.evaluation.layout import key_of, narrowed
from mlaas_lab.records import metrics_of
from mlaas_lab.stats import parts
from mlaas_lab.stats.aggregates import BUDGET
from mlaas_lab.stats.fairness import Slice, gap_limits, slices
from mlaas_lab.stats.intervals import Moments

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


class Ends(NamedTuple):
    """The worst slice, the best one, and what lies between them, as `Sliced` says it."""

    worst: Slice | None
    best: Slice | None
    gap: float | None
    gap_low: float | None = None
    gap_high: float | None = None


def groups_of(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """The groups that samples have, in their order."""
    if "group" not in frame.lazy().collect_schema().names():
        return []
    if (across := gridded(frame)) is not None:
        return [] if across.groups is None else across.groups.drop_nulls().unique(maintain_order=True).to_list()
    names = pl.col("group").cast(pl.String).drop_nulls().unique(maintain_order=True)
    found: list[str] = frame.lazy().select(names).collect().to_series().to_list()
    return found


def sliced(frame: pl.DataFrame | pl.LazyFrame) -> list[Sliced]:
    """A line per metric and target, targets in their order; empty where no sample has a group, or too many groups."""
    groups = groups_of(frame)
    if not 0 < len(groups) <= MOST:
        return []
    metrics = metrics_of(frame.lazy().collect_schema().names())
    means = [metric for metric in metrics if not is_aggregate(metric)]
    across = gridded(frame)
    found = _across(across, means, groups) if across is not None else _apart(frame.lazy(), means, groups)
    found += [line for metric in metrics if metric not in means for line in _together(frame, metric, groups, across)]
    return sorted(found, key=lambda line: metrics.index(line.metric))


def _apart(records: pl.LazyFrame, metrics: Sequence[str], groups: list[str]) -> list[Sliced]:
    """By metrics whose number is a mean, of any table."""
    rows = _scores(records, metrics).to_dicts() if metrics else []
    targets = list(dict.fromkeys(row["target"] for row in rows))
    return [
        _of(str(target), metric, _known([row for row in rows if row["target"] == target], metric), groups)
        for metric in metrics
        for target in targets
    ]


def _together(
    frame: pl.DataFrame | pl.LazyFrame, metric: str, groups: list[str], across: Gridded | None
) -> list[Sliced]:
    """By a metric whose number is made of all answers: of each slice's own, and of all others' to stand against."""
    value = value_of(metric)
    records = narrowed(frame, {metric: value}, ["group", f"{metric}_reason"])
    key = [*key_of(records.columns), "group"]
    names = records.select(key).unique(maintain_order=True)["group"] if across is None else across.groups
    found = facts(records, metric, value, key, None if across is None else across.grid)
    if found is None or names is None:
        return []
    places = names.cast(pl.String).cast(pl.Enum(groups)).to_physical().cast(pl.Int64).fill_null(len(groups)).to_numpy()
    targets = records["target"].unique(maintain_order=True).to_list()
    return [_of_all(str(target), metric, found, places, groups) for target in targets]


def _of_all(target: str, metric: str, found: Facts, places: NDArray[np.int64], groups: list[str]) -> Sliced:
    scored = found.scored(target, len(places))
    sizes = np.bincount(places[scored], minlength=len(groups) + 1)
    several = [at for at in range(len(groups)) if sizes[at] > 1]
    looked_at = scored & np.isin(places, several)
    # As many are drawn in all as if nobody looked at slices.
    budget = BUDGET // max(1, len(several))
    own, others = {}, {}
    for at in several:
        here = looked_at & (places == at)
        own[groups[at]] = parts.Part.of(found.part(target, here, budget))
        if len(several) > 1:
            others[groups[at]] = parts.Part.of(found.part(target, looked_at & ~here, budget), even=False)
    lines = parts.slices_of(own, others, alpha=ALPHA)
    counts = {name: int(n) for name, n in zip([*groups, None], sizes, strict=True) if n}
    return _line((target, metric), lines, _ends_together(lines, own, metric), counts, groups)


def _ends_together(lines: list[Slice], own: Mapping[str, parts.Part], metric: str) -> Ends:
    worst, best = _extremes(lines, higher=_higher_is_better(metric))
    if worst is None or best is None or worst.name == best.name:
        return Ends(worst, best, None if best is None else 0.0)
    top, bottom = sorted((best, worst), key=lambda line: -(line.mean or 0))
    pairs = math.comb(sum(part.value is not None for part in own.values()), 2)
    limits = parts.gap_limits(own[top.name], own[bottom.name], confidence=1 - ALPHA / pairs)
    return Ends(worst, best, (top.mean or 0) - (bottom.mean or 0), *limits)


def _across(across: Gridded, metrics: Sequence[str], groups: list[str]) -> list[Sliced]:
    """The same of a table whose targets stand beside each other: samples are put in the order of their groups once."""
    names = pl.Series([], dtype=pl.String) if across.groups is None else across.groups
    places = names.cast(pl.Enum(groups)).to_physical().cast(pl.Int16).fill_null(len(groups)).to_numpy()
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(np.bincount(places, minlength=len(groups) + 1))
    found, ordered = [], np.empty(len(order))
    for metric in metrics:
        for target, values in across.scores[metric].items():
            # Into the same place each time: fresh memory costs more than the sums. `clip` writes there at once.
            np.take(values, order, out=ordered, mode="clip")
            moments = zip([*groups, None], map(Moments.among, np.split(ordered, ends[:-1])), strict=True)
            known = {name: one for name, one in moments if one is not None}
            found.append(_of(target, metric, known, groups))
    return found


def _scores(records: pl.LazyFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """What is left of each target's scores in each group, repeats averaged first."""
    columns = records.collect_schema().names()
    key = [name for name in ("target", "sample_id", "reference", "group") if name in columns]
    scores = [value_of(metric).alias(metric) for metric in metrics]
    last = pl.col("repeat").max() if "repeat" in columns else pl.lit(None, pl.Int32)
    if records.select(last.alias("last")).collect(engine="streaming").item() == 0:
        rows = records.select("target", "group", *scores)
    else:
        rows = records.select(*key, *scores).group_by(key, maintain_order=True).agg(pl.col(*metrics).mean())
    found = rows.group_by("target", pl.col("group").cast(pl.String), maintain_order=True)
    return found.agg(part for metric in metrics for part in _moments_of(metric)).collect(engine="streaming")


def _moments_of(metric: str) -> list[pl.Expr]:
    score = pl.col(metric)
    return [
        score.count().alias(f"{metric} n"),
        score.mean().alias(f"{metric} mean"),
        score.var(ddof=0).alias(f"{metric} variance"),
        score.min().alias(f"{metric} low"),
        score.max().alias(f"{metric} high"),
        ((score != 0) & (score != 1)).sum().alias(f"{metric} between"),
    ]


def _moments(row: Mapping[str, Any], metric: str) -> Moments:
    n = row[f"{metric} n"]
    return Moments(
        n=n,
        mean=row[f"{metric} mean"],
        square=n * row[f"{metric} variance"],
        low=row[f"{metric} low"],
        high=row[f"{metric} high"],
        binary=not row[f"{metric} between"],
    )


def _known(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str | None, Moments]:
    return {row["group"]: _moments(row, metric) for row in rows if row[f"{metric} n"]}


def _of(target: str, metric: str, known: Mapping[str | None, Moments], groups: list[str]) -> Sliced:
    several = {name: known[name] for name in groups if name in known and known[name].n > 1}
    higher = _higher_is_better(metric)
    lines = slices(several, higher_is_better=higher is not False, alpha=ALPHA)
    worst, best = _extremes(lines, higher=higher)
    counts = {name: one.n for name, one in known.items()}
    return _line((target, metric), lines, Ends(worst, best, *_gap(best, worst, several)), counts, groups)


def _line(
    named: tuple[str, str], lines: list[Slice], ends: Ends, counts: Mapping[str | None, int], groups: list[str]
) -> Sliced:
    """Of a target and a metric, where groups have so many scored samples."""
    target, metric = named
    return Sliced(
        target=target,
        metric=metric,
        slices=lines,
        single=[name for name in groups if counts.get(name) == 1],
        unscored=[name for name in groups if not counts.get(name)],
        n_without=counts.get(None, 0),
        **ends._asdict(),
    )


def _extremes(lines: list[Slice], *, higher: bool | None) -> tuple[Slice | None, Slice | None]:
    """The worst and the best; the first of equals."""
    ordered = [(line.mean, line) for line in lines if line.mean is not None]
    if higher is None or len(ordered) < 2:
        return None, None
    low, high = min(ordered, key=lambda pair: pair[0])[1], max(ordered, key=lambda pair: pair[0])[1]
    return (low, high) if higher else (high, low)


def _gap(
    best: Slice | None, worst: Slice | None, scores: Mapping[str, Moments]
) -> tuple[float | None, float | None, float | None]:
    if best is None or worst is None or best.name == worst.name:
        return (None if best is None else 0.0), None, None
    top, bottom = sorted((scores[best.name], scores[worst.name]), key=lambda one: -one.mean)
    pairs = len(scores) * (len(scores) - 1) // 2
    low, high = gap_limits(top, bottom, confidence=1 - ALPHA / pairs)
    return top.mean - bottom.mean, low, high


def _higher_is_better(metric: str) -> bool | None:
    """None where no such metric is installed to say so, or neither way is."""
    name, _ = registry.parted(metric)
    if name not in registry.names("metric"):
        return None
    found: bool | None = registry.load("metric", name).higher_is_better
    return found
