"""Two targets' answers to the same samples, those that people should see first in front.

Scored apart, the widest first; then those that are only said differently; then the rest; equals in the order of the
table. So a reviewer who stops early has seen what matters. It reads records, and knows no reviewer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.evaluation import agreeing
from mlaas_lab.evaluation.gridded import value_of
from mlaas_lab.evaluation.layout import key_of
from mlaas_lab.evaluation.summary import told_apart
from mlaas_lab.panels import _words as words
from mlaas_lab.records import metrics_of

Side = Literal["a", "b"]
NEEDS = ("target", "sample_id", "repeat", "output", "error")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One sample that both targets were asked, and how far apart their answers are."""

    sample: str
    """Its id; where two samples share one, what tells their references apart follows."""
    rows: tuple[int, int]
    """Places of the two records in the table."""
    gap: float | None
    """Score of b minus score of a; None where one of them has no score."""
    differs: bool
    """Their texts do, or one of them is an error."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The samples of two targets in the order of their review."""

    frame: pl.DataFrame
    """All records, targets told apart."""
    a: str
    b: str
    metric: str | None
    order: tuple[Pair, ...]

    def records(self, pair: Pair) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both records of one sample, a's first."""
        first, second = (self.frame.row(row, named=True) for row in pair.rows)
        return first, second

    def digest(self, pair: Pair) -> str:
        """What stands for both answers: a verdict on other words does not count."""
        said = "\0".join(f"{row['error'] or ''}\1{row['output'] or ''}" for row in self.records(pair))
        return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]

    def scored(self, pair: Pair) -> "Side | Literal['tie'] | None":
        """Which one the metric prefers; None where it does not say, or no way is better."""
        better = None if self.metric is None else words.higher_is_better(self.metric)
        if pair.gap is None or better is None:
            return None
        if pair.gap == 0:
            return "tie"
        return "b" if (pair.gap > 0) == better else "a"


def paired(records: pl.DataFrame, a: str, b: str, *, metric: str = "") -> Pairs:
    """The samples that `a` and `b` were both asked and at least one of them answered; the first repeat of each.

    Args:
        records: of one or several runs.
        a: a target.
        b: another.
        metric: whose scores are held against each other; empty: the first there is.

    Raises:
        UsageError: if a target or the metric is unknown, or both targets are the same.
        DataError: if these are no such records, or no sample is shared.
    """
    if lacking := set(NEEDS) - set(records.columns):
        raise DataError(f"these records have no column {', '.join(sorted(lacking))}; answers cannot be reviewed.")
    frame = told_apart(records)
    _check(frame, a, b)
    chosen = _metric(frame, metric)
    order = _ordered(frame, a, b, chosen)
    if order.is_empty():
        raise DataError(f"{a} and {b} share no sample that one of them answered.")
    return Pairs(frame=frame, a=a, b=b, metric=chosen, order=tuple(map(_pair, order.iter_rows(named=True))))


def targets(records: pl.DataFrame) -> list[str]:
    """The names that can be reviewed against each other."""
    return list(told_apart(records)["target"].unique(maintain_order=True))


def _check(frame: pl.DataFrame, a: str, b: str) -> None:
    known = list(frame["target"].unique(maintain_order=True))
    for name in (a, b):
        if name not in known:
            near = did_you_mean(name, known) or f"Known: {', '.join(known)}."
            raise UsageError(f"there is no target {name!r}.", next=near)
    if a == b:
        raise UsageError(f"{a} cannot be reviewed against itself.", next=f"Known: {', '.join(known)}.")


def _metric(frame: pl.DataFrame, word: str) -> str | None:
    if word:
        return agreeing.named(frame, word)
    known = metrics_of(frame.columns)
    return next((name for name in known if words.higher_is_better(name) is not None), known[0] if known else None)


def _ordered(frame: pl.DataFrame, a: str, b: str, metric: str | None) -> pl.DataFrame:
    key = key_of(frame.columns)
    score = value_of(metric) if metric else pl.lit(None, pl.Float64)
    narrow = frame.select(
        *{"sample_id", "target", "repeat", *key},
        row=pl.int_range(pl.len()),
        score=score,
        said=pl.col("output").hash(),
        answered=pl.col("error").is_null(),
    )
    sides = [_first(narrow.filter(pl.col("target") == name), key) for name in (a, b)]
    both = sides[0].join(sides[1], on=key, how="inner", suffix="_b", nulls_equal=True)
    gap = pl.col("score_b") - pl.col("score")
    differs = pl.col("said").ne_missing(pl.col("said_b")) | (pl.col("answered") != pl.col("answered_b"))
    found = both.filter(pl.col("answered") | pl.col("answered_b")).with_columns(gap=gap, differs=differs)
    kind = pl.when(pl.col("gap").abs() > 0).then(0).when("differs").then(1).otherwise(2)
    wide = pl.col("gap").abs().fill_null(0.0)
    ordered = found.sort(kind, wide, "row", descending=[False, True, False])
    return ordered.with_columns(name=_names(ordered)).select("name", "row", "row_b", "gap", "differs")


def _first(side: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """The first repeat of each sample."""
    return side.sort("repeat", "row", nulls_last=False).unique(key, keep="first", maintain_order=True)


def _names(ordered: pl.DataFrame) -> pl.Series:
    """What each sample is called in a log: its id, where that is enough."""
    ids = ordered["sample_id"].cast(pl.String).fill_null("")
    if ids.n_unique() == len(ids):
        return ids
    known = ordered["reference"].fill_null("").to_list()
    digests = [hashlib.sha256(one.encode(errors="replace")).hexdigest()[:8] for one in known]
    return pl.Series([f"{name}#{digest}" for name, digest in zip(ids, digests, strict=True)])


def _pair(row: Mapping[str, Any]) -> Pair:
    return Pair(sample=row["name"], rows=(row["row"], row["row_b"]), gap=row["gap"], differs=row["differs"])
