"""Which samples are worth a look: those that targets are scored apart on, said apart on, failed on, or did worst on.

Of a large table few columns are read, answers as hashes, and the rows that are shown are fetched last.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from mlaas_lab.evaluation.gridded import Gridded, gridded, value_of
from mlaas_lab.evaluation.layout import Grid, key_of, keyed

MANY = 20_000
"""Samples from which on only those are put in order that may be among the first."""
NEAR = 20_000
"""Rows that are read at once although few of them are shown: they lie in one part of the file."""


class Pick(StrEnum):
    """Which samples."""

    ANY = "any"
    """All with an answer: the most telling first."""
    DISAGREEMENTS = "disagreements"
    """Scored or said differently."""
    ERRORS = "errors"
    """Of which at least one target gave no answer."""
    WORST = "worst"
    """The lowest scores first."""


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The samples to show, and how many there are of each kind."""

    rows: Sequence[Sequence[dict[str, Any]]]
    """Of each sample the records of all targets, in their order."""
    n: int
    """Samples that could be shown."""
    apart: int
    """Of them, scored differently."""
    worded: int
    """Scored alike, said differently."""
    targets: int


def picked(
    frame: pl.DataFrame | pl.LazyFrame, metric: str | None, pick: Pick, most: int, columns: Collection[str]
) -> Picked:
    """At most `most` samples of the kind `pick`, the first repeat of each; scores are told apart by `metric`.

    Of the records those of `columns` are fetched that there are.
    """
    records = frame.lazy()
    kept = [name for name in records.collect_schema().names() if name in columns]
    across = gridded(frame)
    narrow = _narrow(frame, metric) if across is None else pl.DataFrame()
    samples = _grouped(narrow) if across is None else _across(records, across, metric)
    chosen = _kept(samples, pick)
    order = _ordered(_likely(chosen, pick, most), pick).head(most)
    return Picked(
        rows=_rows(records, _together(order, narrow) if across is None else _beside(order, across.grid), kept),
        n=len(chosen),
        apart=int(chosen["apart"].sum()),
        worded=int((chosen["differs"] & ~chosen["apart"]).sum()),
        targets=narrow["target"].n_unique() if across is None else len(across.grid.targets),
    )


SAID = {"answered": pl.col("error").is_null(), "said": pl.col("output").hash()}
"""Whether there is an answer, and what stands for its words."""


def _narrow(frame: pl.DataFrame | pl.LazyFrame, metric: str | None) -> pl.DataFrame:
    """Keys, score, whether there is an answer, and its hash; the first repeat of each sample."""
    score = value_of(metric) if metric else pl.lit(None, pl.Float64)
    values = frame.lazy().select(score=score, **SAID).collect(engine="streaming")
    found = pl.concat([keyed(frame), values], how="horizontal").with_row_index("row")
    if found["repeat"].max() in (0, None):
        return found
    return found.filter(pl.col("repeat") == pl.col("repeat").min().over("target", *key_of(found.columns)))


def _across(records: pl.LazyFrame, across: Gridded, metric: str | None) -> pl.DataFrame:
    """A row per sample, from a table in which all targets stand beside each other."""
    n, names = across.grid.n, [str(i) for i in range(len(across.grid.targets))]
    wide: dict[str, pl.Series] = {}
    for i, target in enumerate(across.grid.targets):
        part = records.slice(i * n, n).select(**SAID).collect(engine="streaming")
        wide |= {f"answered{i}": part["answered"], f"said{i}": part["said"]}
        scored = (
            pl.Series(across.scores[metric][target]).fill_nan(None) if metric else pl.Series([None], dtype=pl.Float64)
        )
        wide[f"score{i}"] = scored if metric else scored.new_from_index(0, n)
    first, last = names[0], names[-1]
    other = [
        pl.col(f"said{name}").ne_missing(pl.col(f"said{first}"))
        | (pl.col(f"answered{name}") != pl.col(f"answered{first}"))
        for name in names[1:]
    ]
    scores = [f"score{name}" for name in names]
    answered = [f"answered{name}" for name in names]
    return pl.DataFrame(wide).select(
        row=pl.int_range(pl.len()),
        differs=pl.any_horizontal(other) if other else pl.lit(value=False),
        spread=(pl.max_horizontal(scores) - pl.min_horizontal(scores)).fill_null(0.0),
        gain=(pl.col(f"score{last}") - pl.col(f"score{first}")).fill_null(0.0).sign(),
        mean=pl.mean_horizontal(scores),
        answered=pl.any_horizontal(answered),
        failed=~pl.all_horizontal(answered),
    )


def _grouped(narrow: pl.DataFrame) -> pl.DataFrame:
    """The same of a table in which they do not."""
    targets = narrow["target"].unique(maintain_order=True).to_list() or [""]
    first, last = (pl.col("score").filter(pl.col("target") == target).mean() for target in (targets[0], targets[-1]))
    score = pl.col("score")
    return narrow.group_by(key_of(narrow.columns), maintain_order=True).agg(
        row=pl.col("row").first(),
        differs=pl.struct("said", "answered").n_unique() > 1,
        spread=(score.max() - score.min()).fill_null(0.0),
        gain=(last - first).fill_null(0.0).sign(),
        mean=score.mean(),
        answered=pl.col("answered").any(),
        failed=~pl.col("answered").all(),
    )


def _kept(samples: pl.DataFrame, pick: Pick) -> pl.DataFrame:
    samples = samples.with_columns(apart=pl.col("spread") > 0)
    match pick:
        case Pick.ERRORS:
            return samples.filter("failed")
        case Pick.DISAGREEMENTS:
            return samples.filter(pl.col("answered") & (pl.col("apart") | pl.col("differs")))
        case Pick.ANY | Pick.WORST:
            return samples.filter("answered")


def _likely(samples: pl.DataFrame, pick: Pick, most: int) -> pl.DataFrame:
    """Of very many samples those that can be among the first `most`, in the same order."""
    if len(samples) < MANY:
        return samples
    apart, differs = pl.col("apart"), pl.col("differs")
    if pick is Pick.WORST:
        kinds = [(pl.lit(value=True), "mean")]
    else:
        kinds = [(apart & differs & (pl.col("gain") == way), "spread") for way in (-1, 0, 1)]
        kinds += [(kind, "mean") for kind in (apart & ~differs, ~apart & differs, ~apart & ~differs)]
    rows = pl.concat([_top(samples.lazy().filter(kind).select("row", by), most, by) for kind, by in kinds])
    return samples.filter(pl.col("row").is_in(rows.implode()))


def _top(kind: pl.LazyFrame, most: int, by: str) -> pl.Series:
    """The first `most` rows by the largest spread or the smallest mean, the earlier of equals; without a mean last."""
    found = kind.collect()
    if len(found) <= most:
        return found["row"]
    rank = -found[by] if by == "spread" else found[by].fill_null(float("inf"))
    edge = rank.bottom_k(most).max()
    ahead = found["row"].filter(rank < edge)
    return pl.concat([ahead, found["row"].filter(rank == edge).head(most - len(ahead))])


def _ordered(samples: pl.DataFrame, pick: Pick) -> pl.DataFrame:
    """By what there is to see: scored differently, said differently, then the lowest scores.

    Among those scored differently, the ones that the first and the last target win take turns, so that the few losses
    of a clear winner are seen too.
    """
    if pick is Pick.WORST:
        return samples.sort("mean", nulls_last=True, maintain_order=True)
    turn = pl.when("apart").then(pl.col("spread").rank("ordinal", descending=True).over("gain"))
    return samples.with_columns(turn=turn).sort(
        "apart", "differs", "turn", "mean", descending=[True, True, False, False], nulls_last=True, maintain_order=True
    )


def _beside(order: pl.DataFrame, grid: Grid) -> list[list[int]]:
    """The rows of the chosen samples, of each those of all targets."""
    return [[row + i * grid.n for i in range(len(grid.targets))] for row in order["row"]]


def _together(order: pl.DataFrame, narrow: pl.DataFrame) -> list[list[int]]:
    """The same of a table in which they have to be looked up."""
    key = key_of(narrow.columns)
    shown = order.select(key).with_row_index("place")
    found = narrow.join(shown, on=key, nulls_equal=True, maintain_order="left").sort("place", maintain_order=True)
    return [part["row"].to_list() for _, part in found.group_by("place", maintain_order=True)]


def _rows(records: pl.LazyFrame, wanted: Sequence[Sequence[int]], columns: Sequence[str]) -> list[list[dict[str, Any]]]:
    """What stands in some rows."""
    fetched = _fetched(records, sorted({row for several in wanted for row in several}), columns)
    return [[fetched[row] for row in several] for several in wanted]


def _fetched(records: pl.LazyFrame, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Records by their place, those that lie near each other read together."""
    spans: list[list[int]] = []
    for row in rows:
        if spans and row - spans[-1][0] < NEAR:
            spans[-1].append(row)
        else:
            spans.append([row])
    # In this order: columns that are chosen first are read whole.
    several = [records.slice(span[0], span[-1] - span[0] + 1).select(columns) for span in spans]
    parts = pl.collect_all(several, engine="streaming")
    found: dict[int, dict[str, Any]] = {}
    for span, part in zip(spans, parts, strict=True):
        chosen = part[[row - span[0] for row in span]].to_dicts()
        found.update(zip(span, chosen, strict=True))
    return found
