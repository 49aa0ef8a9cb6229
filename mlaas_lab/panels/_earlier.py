"""Answers that were taken over from earlier evaluations: which they are, and the words that say so."""

import polars as pl

from mlaas_lab.view.formats import count, when


def earlier(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """How many answers came from the cache and since when, as one sentence; none if none did."""
    records = frame.lazy()
    if "cached_at" not in records.collect_schema().names():
        return []
    at = pl.col("cached_at").cast(pl.Float64)
    counts = (at.is_not_null().sum(), pl.col("error").is_null().sum(), at.min())
    n, answers, first = records.select(*(one.alias(str(i)) for i, one in enumerate(counts))).collect().row(0)
    if not n:
        return []
    return [f"{count(n)} of {count(answers)} answers came from the cache, measured earlier (since {when(first)} UTC)."]
