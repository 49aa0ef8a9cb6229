"""Which calls failed, by target and error, with one message of each; nothing where everything was answered."""

import polars as pl

from mlaas_lab.evaluation.layout import by_target, spans
from mlaas_lab.evaluation.sharing import lazily
from mlaas_lab.panels import Panel
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    records = lazily(frame)
    message = "error_message" in records.collect_schema().names()
    said = pl.col("error_message").first() if message else pl.lit(None, pl.String)
    failed = records.filter(pl.col("error").is_not_null()).group_by("target", "error", maintain_order=True)
    found = failed.agg(n=pl.len(), message=said).collect(engine="streaming")
    if found.is_empty():
        return None
    calls = dict(by_target(records, [pl.len()], spans(records)).iter_rows())
    lost = int(found["n"].sum())
    rows = [(target, error, n, n / calls[target], words) for target, error, n, words in found.iter_rows()]
    columns: list[Column | str] = [
        "Target",
        "Error",
        Column(title="Calls", align="right", format=count),
        Column(title="Of all", align="right", format=percent),
        Column(title="One of the messages", wrap=True),
    ]
    return View(
        title="Errors",
        summary=f"{count(lost)} of {count(sum(calls.values()))} calls have no answer. They are counted, never scored.",
        table=Table(columns=columns, rows=rows),
    )


panel = Panel(needs=frozenset({"target", "error"}), build=_build, place=20)
