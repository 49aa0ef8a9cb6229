"""Which calls failed, by target and error, with one message of each; nothing where everything was answered."""

import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent


def _build(frame: pl.DataFrame) -> View | None:
    failed = frame.filter(pl.col("error").is_not_null())
    if failed.is_empty():
        return None
    message = pl.col("error_message").first() if "error_message" in frame.columns else pl.lit(None, pl.String)
    found = failed.group_by("target", "error", maintain_order=True).agg(n=pl.len(), message=message)
    calls = dict(frame.group_by("target").len().iter_rows())
    rows = [(target, error, n, n / calls[target], said) for target, error, n, said in found.iter_rows()]
    columns: list[Column | str] = [
        "Target",
        "Error",
        Column(title="Calls", align="right", format=count),
        Column(title="Of all", align="right", format=percent),
        Column(title="One of the messages", wrap=True),
    ]
    return View(
        title="Errors",
        summary=f"{count(len(failed))} of {count(len(frame))} calls have no answer. They are counted, never scored.",
        table=Table(columns=columns, rows=rows),
    )


panel = Panel(needs=frozenset({"target", "error"}), build=_build, place=20)
