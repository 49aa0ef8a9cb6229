"""Who judged, how many answers, what failed, and what it cost: a score of few answers says so before it is believed."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from mlaas_lab import registry
from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.records import metrics_of
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent, usd

FAILED = ("parse_error", "refused", "timeout", "judge_error")
"""What a judge that failed leaves, in words of the records."""
MICRO = 1_000_000
"""Micro-dollars in a dollar: sums of them are exact."""
NOTE = (
    "A judge that failed gives no score, never 0; `resume JOB --retry-failed` asks it again and nobody else. “If "
    "failed ones were 0 to 1” is where the mean would then lie. Agreement is among its own judgements of one answer "
    "(`times=`); with people, `agree` tells it. Cost is that of all calls to the judge, apart from the targets'."
)


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    records = frame.lazy()
    names = records.collect_schema().names()
    judged = [metric for metric in metrics_of(names) if f"{metric}_judge" in names and f"{metric}_cost_usd" in names]
    if not judged:
        return None
    found = [(metric, row) for metric in judged for row in _counted(records, metric)]
    return View(title="Judges", summary=_said(found), table=_table(found), notes=[NOTE])


def _counted(records: pl.LazyFrame, metric: str) -> Iterator[dict[str, Any]]:
    """One row a target: what became of its answers."""
    status, cost = pl.col(f"{metric}_status"), pl.col(f"{metric}_cost_usd")
    # The first of a pair has a score that nobody was asked for.
    judged = (status == "ok") & pl.col(f"{metric}_judge").is_not_null()
    agreement = f"{metric}_agreement"
    known = agreement in records.collect_schema().names()
    found = (
        records.filter(pl.col("error").is_null())
        .group_by("target", maintain_order=True)
        .agg(
            judged.sum().alias("ok"),
            *((status == one).sum().alias(one) for one in FAILED),
            pl.col(metric).filter(judged).sum().alias("sum"),
            (cost * MICRO).round().cast(pl.Int64).sum().alias("micro"),
            cost.count().alias("priced"),
            (cost.is_null() & (status != "not_applicable")).sum().alias("unknown"),
            pl.col(f"{metric}_judge").drop_nulls().unique().sort().alias("models"),
            (pl.col(agreement).mean() if known else pl.lit(None, pl.Float64)).alias("agreement"),
        )
        .collect()
    )
    yield from found.iter_rows(named=True)


def _said(found: Sequence[tuple[str, dict[str, Any]]]) -> str:
    told = []
    for metric in dict.fromkeys(name for name, _ in found):
        rows = [row for name, row in found if name == metric]
        ok, failed = sum(row["ok"] for row in rows), sum(row[one] for row in rows for one in FAILED)
        if not ok + failed:
            told.append(f"Nobody was asked about {_short(metric)}.")
            continue
        who = ", ".join(sorted({model for row in rows for model in row["models"]})) or "Nobody"
        micro, unknown = sum(row["micro"] for row in rows), sum(row["unknown"] for row in rows)
        paid = _paid(micro, priced=sum(row["priced"] for row in rows), unknown=unknown)
        told.append(f"{who} judged {count(ok)} of {count(ok + failed)} answers by {_short(metric)}, for {paid}.")
    return " ".join(told)


def _table(found: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    numbers = [Column(title=title, align="right", format=count) for title in ("Judged", "Failed")]
    columns: list[Column | str] = [
        Column(title="Metric", wrap=True),
        Column(title="Target", wrap=True),
        Column(title="Judge", wrap=True),
        *numbers,
        Column(title="Why", wrap=True),
        Column(title="If failed ones were 0 to 1", align="right"),
        Column(title="Agreement", align="right", format=percent),
        Column(title="Cost", align="right"),
    ]
    return Table(columns=columns, rows=[_row(metric, row) for metric, row in found])


def _row(metric: str, row: dict[str, Any]) -> tuple[Any, ...]:
    failed = {one: row[one] for one in FAILED if row[one]}
    return (
        metric,
        row["target"],
        ", ".join(row["models"]) or None,
        row["ok"],
        sum(failed.values()),
        ", ".join(f"{one} {count(n)}" for one, n in failed.items()) or None,
        _bounds(metric, row, sum(failed.values())),
        row["agreement"],
        _paid(row["micro"], priced=row["priced"], unknown=row["unknown"]),
    )


def _bounds(metric: str, row: dict[str, Any], failed: int) -> str | None:
    """Where the mean would lie, whatever the missing scores are; None where nothing is missing."""
    if not failed or not words.is_share(metric):
        return None
    total = row["ok"] + failed
    return f"{percent(row['sum'] / total)} to {percent((row['sum'] + failed) / total)}"


def _paid(micro: int, *, priced: int, unknown: int) -> str:
    if not priced:
        return "an unknown amount"
    return f"{'at least ' if unknown else ''}{usd(micro / MICRO)}"


def _short(metric: str) -> str:
    return registry.parted(metric)[0]


panel = Panel(needs=frozenset({"target", "error"}), build=_build, place=32)
