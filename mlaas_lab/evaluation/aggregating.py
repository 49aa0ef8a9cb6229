"""From records to a number of all answers of a target, by the metrics that have one in place of a mean.

What each answer adds stands in the metric's own columns, the score and the reason, so that nobody need be asked again.
Samples are the unit here too: repeats share the weight of one. It knows records, and no target's nature.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab import registry
from mlaas_lab.evaluation.layout import Grid
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.stats.aggregates import Measured, measured
from mlaas_lab.stats.clusters import Groups
from mlaas_lab.stats.facts import Aggregate, Fact, Side


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What every target's answers add to one metric's number, samples numbered in one order for all targets."""

    aggregate: Aggregate
    by_target: Mapping[str, Side]
    kinds: Sequence[Fact]
    make: Callable[[Sequence[Fact]], Aggregate]

    def of(self, targets: Sequence[str], chosen: NDArray[np.bool_], groups: Groups | None) -> Measured:
        """What one target, or two, say on the `chosen` samples (samples,), which come in `groups` (chosen,)."""
        anew = np.cumsum(chosen) - 1
        sides = [_chosen(self.by_target[target], chosen, anew) for target in targets]
        return measured(self.aggregate, sides, groups, int(chosen.sum()))

    def scored(self, target: str, n: int) -> NDArray[np.bool_]:
        """Which of `n` samples a target has a score for (samples,)."""
        side = self.by_target.get(target)
        return np.zeros(n, dtype=bool) if side is None else np.bincount(side.unit, minlength=n) > 0

    def part(self, target: str, chosen: NDArray[np.bool_], budget: int) -> Measured:
        """What one target says on the `chosen` samples (samples,), all scored, as if there were no others.

        Of other samples not even the classes are known. `budget` is the bootstrap's.
        """
        side = _chosen(self.by_target[target], chosen, np.cumsum(chosen) - 1)
        seen, places = np.unique(side.fact, return_inverse=True)
        aggregate = self.make([self.kinds[at] for at in seen])
        return replace(measured(aggregate, [replace(side, fact=places)], None, int(chosen.sum())), budget=budget)


def known(metric: str) -> Metric | None:
    """The metric of a column's name; None where no such metric is installed."""
    name, _ = registry.parted(metric)
    found: Metric | None = registry.load("metric", name) if name in registry.names("metric") else None
    return found


def is_aggregate(metric: str) -> bool:
    """Whether its number is no mean of what its column holds."""
    found = known(metric)
    return found is not None and found.aggregate is not None


def is_share(metric: str) -> bool | None:
    """Whether its values lie between 0 and 1, whatever they look like; None where nobody here knows the metric."""
    found = known(metric)
    return None if found is None else found.unit == "share"


def facts(
    records: pl.DataFrame, metric: str, value: pl.Expr, key: Sequence[str], whole: Grid | None = None
) -> Facts | None:
    """What `records` hold for `metric`; None where its number is the mean of its column.

    Args:
        records: of all targets.
        metric: the column.
        value: the score, null where there is none.
        key: the columns by which samples are told apart, numbered by first appearance.
        whole: the records as a grid, if they are one.
    """
    found = known(metric)
    if found is None or found.aggregate is None:
        return None
    said = pl.col(f"{metric}_reason").cast(pl.String).fill_null("")
    rows = records.select(*key, "target", score=value.cast(pl.Float64), said=said, unit=pl.int_range(pl.len()))
    rows = rows.filter(pl.col("score").is_not_null())
    if whole is not None:
        rows = rows.with_columns(pl.col("unit") % whole.n)
    else:
        numbers = records.select(key).unique(maintain_order=True).with_row_index("unit")
        rows = rows.drop("unit").join(numbers, on=key, nulls_equal=True, maintain_order="left")
    kinds, numbered = _kinds(rows)
    entries = rows.select("target", "unit", fact=numbered)
    if whole is not None:
        entries = entries.with_columns(weight=1.0)
    else:
        entries = entries.group_by("target", "unit", "fact").len()
        entries = entries.with_columns(weight=pl.col("len") / pl.col("len").sum().over("target", "unit"))
        entries = entries.sort("unit", "fact")
    return Facts(
        aggregate=found.aggregate(kinds),
        kinds=kinds,
        make=found.aggregate,
        by_target={str(name): _side(part) for (name,), part in entries.group_by("target", maintain_order=True)},
    )


def _kinds(rows: pl.DataFrame) -> tuple[list[Fact], pl.Series]:
    """The different facts in one order, whatever that of the rows, and which of them each row is (rows,)."""
    scores = np.unique(rows["score"].to_numpy(), return_inverse=True)[1]
    words = rows["said"].cast(pl.Categorical).to_physical().cast(pl.Int64).to_numpy()
    codes = words * (int(scores.max(initial=0)) + 1) + scores
    _, first, found = np.unique(codes, return_index=True, return_inverse=True)
    facts = [Fact(*row) for row in rows.select("score", "said")[first].iter_rows()]
    order = sorted(range(len(facts)), key=facts.__getitem__)
    place = np.empty(len(facts), dtype=np.int64)
    place[order] = np.arange(len(facts))
    return [facts[i] for i in order], pl.Series(place[found])


def _side(entries: pl.DataFrame) -> Side:
    return Side(
        unit=entries["unit"].cast(pl.Int64).to_numpy(),
        fact=entries["fact"].cast(pl.Int64).to_numpy(),
        weight=entries["weight"].to_numpy(),
    )


def _chosen(side: Side, chosen: NDArray[np.bool_], anew: NDArray[np.int64]) -> Side:
    """Of the `chosen` units alone, which are numbered `anew`."""
    here = chosen[side.unit]
    return Side(unit=anew[side.unit[here]], fact=side.fact[here], weight=side.weight[here])
