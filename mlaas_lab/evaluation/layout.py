"""Records as scores need them: few columns, short keys, and whether all targets answered the same samples in one order.

An evaluation writes its table target by target, sample by sample, so a table of any size is read as a grid, without
looking up which rows belong together. A table that is none is grouped, as ever. It knows columns, and no statistics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mlaas_lab.evaluation.sharing import shared

KEY = ("sample_id", "reference")
"""Samples are the same only if their references are too: two files may both number their rows 1, 2, 3."""
LARGE = 1_000_000
"""Rows from which on keys are kept as numbers. Of 10 million that are hashed to 64 bits, two look alike in one of
400,000 tables."""


OK = pl.Enum(["ok"])


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Every target's rows lie together and name the same samples in the same order, each once."""

    targets: Sequence[str]
    n: int
    """Samples."""

    def parts(self, column: pl.Series) -> dict[str, pl.Series]:
        """A column of the whole table (targets · n,) as one of each target (n,)."""
        return {target: column.slice(i * self.n, self.n) for i, target in enumerate(self.targets)}


Span = tuple[str | None, int, int]
"""A target, its first row, and how many there are."""


@shared
def spans(frame: pl.DataFrame | pl.LazyFrame) -> list[Span] | None:
    """Where each target's rows lie, as an evaluation writes them; None where one target's do not lie together."""
    found = changes(frame.lazy(), ["target"])
    names, starts = found["target"], found["row"].to_list()
    if names.n_unique() < len(names):
        return None
    total = frame.lazy().select(pl.len()).collect().item()
    return [(name, first, end - first) for name, first, end in zip(names, starts, [*starts, total][1:], strict=True)]


def changes(records: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The rows, as `row`, with which something else begins in one of `columns`; the first is one of them."""
    other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in columns)
    return (
        records.select(columns).with_row_index("row").filter(other | (pl.col("row") == 0)).collect(engine="streaming")
    )


def by_target(rows: pl.LazyFrame, aggregates: Sequence[pl.Expr], known: Sequence[Span] | None) -> pl.DataFrame:
    """A row per target, targets in their order.

    Args:
        rows: with `target`.
        aggregates: one value each, of a target's rows.
        known: `spans` of the rows, so that nobody looks up which target each is of.
    """
    if not known:
        return rows.group_by("target", maintain_order=True).agg(*aggregates).collect(engine="streaming")
    parts = [
        rows.slice(first, n).select(pl.lit(target, pl.String).alias("target"), *aggregates)
        for target, first, n in known
    ]
    return pl.concat(pl.collect_all(parts, engine="streaming"))


def key_of(columns: Sequence[str]) -> list[str]:
    """The columns by which samples are told apart."""
    return [name for name in KEY if name in columns]


def grid(records: pl.DataFrame | pl.LazyFrame) -> Grid | None:
    """The table as a grid, if it is one, by its columns `target` and keys."""
    return _grid(records.lazy(), spans(records), key_of(records.lazy().collect_schema().names()))


def _grid(keys: pl.LazyFrame, where: Sequence[Span] | None, key: Sequence[str]) -> Grid | None:
    n = where[0][2] if where else 0
    if not where or not key or any(count != n for _, _, count in where):
        return None
    several = [keys.slice(first, n).select(key) for _, first, _ in where]
    first = several[0].collect(engine="streaming")
    # One after another: all keys of a large table are much memory.
    if any(not one.collect(engine="streaming").equals(first) for one in several[1:]) or first.n_unique() != n:
        return None
    return Grid(targets=[str(target) for target, _, _ in where], n=n)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """By which columns samples are told apart."""

    names: Sequence[str]
    own: Sequence[pl.Expr]
    """Of the records."""


@shared
def keys(frame: pl.DataFrame | pl.LazyFrame) -> Keys:
    """The keys of all records, short ones in a large table."""
    records = frame.lazy()
    key = key_of(records.collect_schema().names())
    large = key and records.select(pl.len()).collect().item() >= LARGE
    return Keys(names=key[:1], own=[_short(frame, key)]) if large else Keys(names=key, own=[pl.col(n) for n in key])


@shared
def grid_of(frame: pl.DataFrame | pl.LazyFrame) -> Grid | None:
    """The records as a grid, if they are one."""
    known = keys(frame)
    return _grid(frame.lazy().select(known.own), spans(frame), known.names)


@shared
def keyed(frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Which target and which sample each row is of: `target`, keys, and `repeat` where there is one."""
    columns = frame.lazy().collect_schema().names()
    names = (name for name in ("target", "repeat") if name in columns)
    return frame.lazy().select(*names, *keys(frame).own).collect(engine="streaming")


def narrowed(
    frame: pl.DataFrame | pl.LazyFrame, values: Mapping[str, pl.Expr], more: Sequence[str] = ()
) -> pl.DataFrame:
    """`frame` with what scores stand on: targets, keys, repeats, groups, metrics, and the columns `more`.

    Args:
        frame: records.
        values: metric → its score, null where there is none.
        more: columns that are kept as they are, where they exist.
    """
    columns = frame.lazy().collect_schema().names()
    # One run tells nothing apart, and its name is long.
    runs = () if one_run(frame) else ("run_id",)
    kept = [pl.col(name) for name in (*runs, *more) if name in columns]
    scores = [part for metric, value in values.items() for part in _scored(metric, value)]
    own = keyed(frame)
    return (
        pl.concat([own, frame.lazy().select(*kept, *scores).collect(engine="streaming")], how="horizontal")
        if kept or scores
        else own
    )


@shared
def one_run(frame: pl.DataFrame | pl.LazyFrame) -> bool:
    """Whether all records are of one run, or none says which."""
    records = frame.lazy()
    if "run_id" not in records.collect_schema().names():
        return True
    first = records.select(pl.col("run_id").first()).collect(engine="streaming").item()
    other = pl.col("run_id").ne_missing(pl.lit(first, pl.String)).any()
    return not records.select(other).collect(engine="streaming").item()


def _short(frame: pl.DataFrame | pl.LazyFrame, key: Sequence[str]) -> pl.Expr:
    """A number in place of a key: within one run the sample's place in its data, whose ids are unique; else a hash."""
    records = frame.lazy()
    named = {"sample_index", "run_id"} <= set(records.collect_schema().names())
    missing = pl.col("sample_index").null_count()
    if named and one_run(frame) and not records.select(missing).collect(engine="streaming").item():
        return pl.col("sample_index").alias(key[0])
    return pl.struct(key).hash().alias(key[0])


def _scored(metric: str, value: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """A score and its status, which takes a byte where it was a word."""
    return value.alias(metric), pl.when(value.is_not_null()).then(pl.lit("ok", OK)).alias(f"{metric}_status")
