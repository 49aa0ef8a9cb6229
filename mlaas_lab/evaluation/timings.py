"""How long calls took, by target and by where they were asked: sorted once for everybody who reads percentiles of them.

It knows columns, and nothing of what a percentile says.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab.evaluation.layout import changes, spans
from mlaas_lab.evaluation.sharing import lazily, shared
from mlaas_lab.evaluation.tally import looked_at

TIMES = ("latency_s", "ttft_s", "tokens_per_s")
WHERE = ("target", "provider", "region", "emulated")
NEEDED = ("error", "attempts", "cached_at")
Floats = NDArray[np.float64]
Place = tuple[str | None, str | None, str | None, bool | None]
"""Target, provider, region, and whether an emulator answered."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What one target did in one place."""

    target: str
    provider: str | None
    region: str | None
    emulated: bool
    n_error: int
    """Requests without an answer."""
    n_cached: int
    """Answers from the cache."""
    retries: int | None
    """Attempts after the first; None when nobody counted."""
    n_plain: int
    """Requests on the wire of calls that were answered at once, those from the cache left out."""
    times: Mapping[str, Floats]
    """Each of `TIMES`, what is known of it in ascending order."""


@shared
def timed(frame: pl.DataFrame | pl.LazyFrame) -> list[Timed]:
    """What each target did in each place, in the order of their first rows."""
    records = lazily(frame)
    columns = set(records.collect_schema().names())
    stretches = placed(records) or _stretches(records, columns)
    if len({place for place, _, _ in stretches}) < len(stretches):
        # What was asked now here, now there, is put in order first.
        known = [name for name in WHERE if name in columns]
        kept = [name for name in (*WHERE, *NEEDED, *TIMES) if name in columns]
        order = pl.int_range(pl.len()).min().over(known)
        records = records.select(kept).sort(order, maintain_order=True).collect().lazy()
        stretches = _stretches(records, columns)
    return [_timed(place, records.slice(first, n), columns) for place, first, n in stretches]


@shared
def placed(frame: pl.DataFrame | pl.LazyFrame) -> list[tuple[Place, int, int]] | None:
    """Each target in the one place where all of it was asked, its first row, and how many there are.

    None unless it is so, as it is where an evaluation wrote the table.
    """
    records, where = frame.lazy(), spans(frame)
    types = {name: kind for name, kind in records.collect_schema().items() if name in WHERE[1:]}
    if not where or not types:
        return None if not where else [((target, None, None, None), first, n) for target, first, n in where]
    several = [records.slice(first, n).select(types.keys()) for _, first, n in where]
    rows = [one.row(0, named=True) for one in pl.collect_all([one.head(1) for one in several], engine="streaming")]
    apart = [
        one.select(pl.any_horizontal(pl.col(name).ne_missing(pl.lit(row[name], types[name])).any() for name in types))
        for one, row in zip(several, rows, strict=True)
    ]
    if any(one.item() for one in pl.collect_all(apart, engine="streaming")):
        return None
    return [
        ((target, row.get("provider"), row.get("region"), row.get("emulated")), first, n)
        for (target, first, n), row in zip(where, rows, strict=True)
    ]


def _stretches(records: pl.LazyFrame, columns: AbstractSet[str]) -> list[tuple[Place, int, int]]:
    """Where target and place change from one row to the next: both, the first row of each stretch, and its length."""
    found = changes(records, [name for name in WHERE if name in columns])
    starts, total = found["row"].to_list(), records.select(pl.len()).collect().item()
    return [
        ((row["target"], row.get("provider"), row.get("region"), row.get("emulated")), row["row"], end - row["row"])
        for row, end in zip(found.to_dicts(), [*starts, total][1:], strict=True)
    ]


def _timed(place: Place, rows: pl.LazyFrame, columns: AbstractSet[str]) -> Timed:
    attempts = pl.col("attempts").cast(pl.Int64) if "attempts" in columns else pl.lit(None, pl.Int64)
    cached = pl.col("cached_at").is_not_null() if "cached_at" in columns else pl.lit(value=False)
    times = [
        pl.col(name).cast(pl.Float64).fill_nan(None) if name in columns else pl.lit(None, pl.Float64).alias(name)
        for name in TIMES
    ]
    counts = rows.select(
        error=pl.col("error").is_not_null().sum(),
        cached=cached.sum(),
        uncounted=attempts.is_null().sum(),
        retries=(attempts - 1).clip(lower_bound=0).sum(),
        plain=pl.when(~cached & ~looked_at(columns)).then(attempts).sum(),
    )
    ((n_error, n_cached, uncounted, retries, n_plain),), own = (
        counts.collect(engine="streaming").rows(),
        rows.select(times).collect(engine="streaming"),
    )
    target, provider, region, emulated = place
    return Timed(
        target=str(target),
        provider=provider,
        region=region,
        emulated=bool(emulated),
        n_error=n_error,
        n_cached=n_cached,
        retries=None if uncounted else retries,
        n_plain=n_plain,
        times={name: np.sort(own[name].drop_nulls().to_numpy()) for name in TIMES},
    )


def merged(parts: Sequence[Timed], name: str) -> Floats:
    """Times of several parts in ascending order."""
    several = [part.times[name] for part in parts]
    return several[0] if len(several) == 1 else np.sort(np.concatenate(several))
