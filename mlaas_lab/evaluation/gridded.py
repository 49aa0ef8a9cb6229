"""Scores of a table in which all targets stand beside each other: arrays, read once for everybody who looks at them.

What is no such table, or holds several runs, is None here and read the long way. It knows columns, and no statistics.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab.evaluation.layout import Grid, grid_of, one_run
from mlaas_lab.evaluation.sharing import shared
from mlaas_lab.records import metrics_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Gridded:
    """The scores of every target, samples in one order for all of them."""

    grid: Grid
    scores: Mapping[str, dict[str, Floats]]
    """Metric → target → (n,), NaN for none."""
    groups: pl.Series | None
    """The group of each sample (n,), the same for all targets; None where none has one."""


@shared
def gridded(frame: pl.DataFrame | pl.LazyFrame) -> Gridded | None:
    """The scores of `frame`, if all its targets answered the same samples in one order, once each, in one run."""
    records = frame.lazy()
    columns = records.collect_schema().names()
    if not one_run(frame) or (grid := grid_of(frame)) is None:
        return None
    metrics = metrics_of(columns)
    group = [pl.col("group").cast(pl.String)] if "group" in columns else []
    scores = [value_of(metric).fill_null(math.nan).alias(metric) for metric in metrics]
    if not scores and not group:
        return Gridded(grid=grid, scores={}, groups=None)
    several = [records.slice(i * grid.n, grid.n).select(*scores, *group) for i in range(len(grid.targets))]
    parts = dict(zip(grid.targets, pl.collect_all(several, engine="streaming"), strict=True))
    groups = [part["group"] for part in parts.values()] if group else []
    if any(not one.equals(groups[0]) for one in groups[1:]):
        return None
    return Gridded(
        grid=grid,
        scores={metric: {target: part[metric].to_numpy() for target, part in parts.items()} for metric in metrics},
        groups=groups[0] if groups and groups[0].null_count() < grid.n else None,
    )


def value_of(metric: str) -> pl.Expr:
    """The score where there is one; what is no finite number is none."""
    score = pl.col(metric).cast(pl.Float64)
    return pl.when((pl.col(f"{metric}_status") == "ok") & score.is_finite()).then(score)
