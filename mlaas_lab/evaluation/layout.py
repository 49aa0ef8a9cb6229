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


def key_of(columns: Sequence[str]) -> list[str]:
    """The columns by which samples are told apart."""
    return [name for name in KEY if name in columns]


def grid(records: pl.DataFrame) -> Grid | None:
    """The table as a grid, if it is one."""
    runs = records["target"].rle_id() if len(records) else pl.Series([0], dtype=pl.UInt32)
    count = int(runs[-1]) + 1
    n, rest = divmod(len(records), count)
    targets = [str(name) for name in records["target"].gather_every(n)] if n and not rest else []
    if not targets or len(set(targets)) != count or not (runs.gather_every(n) == pl.Series(range(count))).all():
        return None
    keys = records.select(key_of(records.columns))
    first = keys.slice(0, n)
    if any(not keys.slice(i * n, n).equals(first) for i in range(1, count)) or first.n_unique() != n:
        return None
    return Grid(targets=targets, n=n)


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """Which target and which sample each row is of."""

    rows: pl.DataFrame
    """`target`, keys, and `repeat` where there is one."""
    grid: Grid | None


@shared
def keyed(frame: pl.DataFrame | pl.LazyFrame) -> Keyed:
    """The keys of all records, short ones in a large table."""
    records = frame.lazy()
    columns = records.collect_schema().names()
    key = key_of(columns)
    large = key and records.select(pl.len()).collect().item() >= LARGE
    own = [_short(records, key)] if large else [pl.col(name) for name in key]
    rows = records.select(*(name for name in ("target", "repeat") if name in columns), *own).collect(engine="streaming")
    return Keyed(rows=rows, grid=grid(rows))


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
    runs = ("run_id",) if "run_id" in columns and not _one_run(frame.lazy()) else ()
    kept = [pl.col(name) for name in ("group", *runs, *more) if name in columns]
    scores = [part for metric, value in values.items() for part in _scored(metric, value)]
    own = keyed(frame).rows
    return (
        pl.concat([own, frame.lazy().select(*kept, *scores).collect(engine="streaming")], how="horizontal")
        if kept or scores
        else own
    )


def _one_run(records: pl.LazyFrame) -> bool:
    runs: int = records.select(pl.col("run_id").n_unique()).collect(engine="streaming").item()
    return runs < 2


def _short(records: pl.LazyFrame, key: Sequence[str]) -> pl.Expr:
    """A number in place of a key: within one run the sample's place in its data, whose ids are unique; else a hash."""
    named = {"sample_index", "run_id"} <= set(records.collect_schema().names())
    missing = pl.col("sample_index").null_count()
    if named and _one_run(records) and not records.select(missing).collect(engine="streaming").item():
        return pl.col("sample_index").alias(key[0])
    return pl.struct(key).hash().alias(key[0])


def _scored(metric: str, value: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """A score and its status, which takes a byte where it was a word."""
    return value.alias(metric), pl.when(value.is_not_null()).then(pl.lit("ok", OK)).alias(f"{metric}_status")
