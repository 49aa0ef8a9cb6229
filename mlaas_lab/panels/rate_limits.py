"""How often each vendor said that it is too much, by provider and region; nothing where none did."""

import polars as pl

from mlaas_lab.evaluation.sharing import lazily
from mlaas_lab.evaluation.tally import tried
from mlaas_lab.evaluation.timings import timed
from mlaas_lab.panels import Panel
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent

OURS = "ours"
"""Endpoints that we serve have no vendor."""
PLACES = {"provider": pl.String, "region": pl.String, "requests": pl.Int64, "limited": pl.Int64}


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    found = _counted(lazily(frame))
    if not found["limited"].sum():
        return None
    rows = sorted(
        (provider or OURS, region or "–", requests, limited, limited / requests)
        for provider, region, requests, limited in found.iter_rows()
        if requests
    )
    refused, all_requests = int(found["limited"].sum()), int(found["requests"].sum())
    columns: list[Column | str] = [
        "Provider",
        "Region",
        Column(title="Requests", align="right", format=count),
        Column(title="Too many", align="right", format=count),
        Column(title="Of all", align="right", format=percent),
    ]
    return View(
        title="Rate limits",
        summary=f"{count(refused)} of {count(all_requests)} requests on the wire were too many for the "
        "vendor. A target's `rpm=` and `tpm=` slow it down before.",
        table=Table(columns=columns, rows=rows),
    )


def _counted(records: pl.LazyFrame) -> pl.DataFrame:
    """Requests on the wire by provider and region, and how many of them were too many."""
    columns = set(records.collect_schema().names())
    # What was taken over from an earlier evaluation was asked then.
    now = pl.col("cached_at").is_null() if "cached_at" in columns else pl.lit(value=True)
    limited = pl.col("failures").fill_null("").str.count_matches(r'"error":\s*"rate_limited"').cast(pl.Int64)
    looked = tried(records).lazy().filter(now).select("provider", "region", "requests", limited=limited)
    # Of the others all is known once times are, which another panel shows.
    plain = [(part.provider, part.region, part.n_plain, 0) for part in timed(records)]
    others = pl.LazyFrame(plain, schema=PLACES, orient="row")
    by_place = pl.concat([looked, others], how="vertical_relaxed").group_by("provider", "region")
    return by_place.agg(pl.col("requests", "limited").sum()).collect(engine="streaming")


panel = Panel(needs=frozenset({"target", "provider", "region", "timeline", "error"}), build=_build, place=45)
