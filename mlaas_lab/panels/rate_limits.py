"""How often each vendor said that it is too much, by provider and region; nothing where none did."""

from collections import Counter
from collections.abc import Iterator

import orjson
import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent

OURS = "ours"
"""Endpoints that we serve have no vendor."""


def _build(frame: pl.DataFrame) -> View | None:
    # What was taken over from an earlier evaluation was asked then.
    asked = frame.filter(pl.col("cached_at").is_null()) if "cached_at" in frame.columns else frame
    requests: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for provider, region, error in _attempts(asked):
        requests[provider, region] += 1
        refused[provider, region] += error == "rate_limited"
    if not any(refused.values()):
        return None
    rows = [(*place, n, refused[place], refused[place] / n) for place, n in sorted(requests.items())]
    columns: list[Column | str] = [
        "Provider",
        "Region",
        Column(title="Requests", align="right", format=count),
        Column(title="Too many", align="right", format=count),
        Column(title="Of all", align="right", format=percent),
    ]
    return View(
        title="Rate limits",
        summary=f"{count(refused.total())} of {count(requests.total())} requests on the wire were too many for the "
        "vendor. A target's `rpm=` and `tpm=` slow it down before.",
        table=Table(columns=columns, rows=rows),
    )


def _attempts(frame: pl.DataFrame) -> Iterator[tuple[str, str, str | None]]:
    """Provider, region and error of every request on the wire."""
    for provider, region, timeline in frame.select("provider", "region", "timeline").iter_rows():
        for attempt in orjson.loads(timeline or "[]"):
            yield provider or OURS, region or "–", attempt.get("error")


panel = Panel(needs=frozenset({"provider", "region", "timeline"}), build=_build, place=45)
