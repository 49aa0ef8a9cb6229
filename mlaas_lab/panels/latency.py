"""How long each target took, with the number of requests behind every percentile and the interval it lies in."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from mlaas_lab.evaluation.sharing import shared
from mlaas_lab.panels import Panel
from mlaas_lab.panels._earlier import earlier
from mlaas_lab.stats.intervals import Floats, quantile_limits_of
from mlaas_lab.view import Column, Ecdf, Sorted, Table, View
from mlaas_lab.view.formats import count, number, seconds

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
TIMES = ("latency_s", "ttft_s", "tokens_per_s")
WHERE = ("target", "provider", "region", "emulated")
MANY = 1_000
"""Stretches of rows from which on a table is put in order first."""
STAIRS = 200
"""Of a curve; more is not seen."""
OURS = "ours"
"""Endpoints that we serve have no vendor."""
NOTE = (
    "A percentile's 95 % interval stands behind it; ? is a side that so few requests cannot bound. Latency is that of "
    "the answered attempt, while other requests ran beside it; retries and back-off are not in it."
)


Part = dict[str, Any]
"""What one target did in one place."""


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A percentile, and where it probably lies."""

    value: float
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one target took."""

    target: str
    n: int
    """Answered requests: what the percentiles stand on."""
    n_error: int
    """Requests without an answer, which have no latency."""
    n_cached: int
    """Of the answers, those that came from the cache; their times are those they were measured with."""
    n_streamed: int
    """Answers with a time to first token."""
    retries: int | None
    """Attempts after the first, over all requests; None when nobody counted."""
    latency_s: Mapping[str, Quantile]
    """`p50`, `p95`, `p99`; empty without an answer."""
    ttft_s: Mapping[str, Quantile] | None
    """The same for the first token; None unless streamed."""
    tokens_per_s: float | None
    """Median of single answers; None unless streamed and counted."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """How long the targets took that were asked at one vendor in one region."""

    provider: str | None
    """None for endpoints of ours."""
    region: str | None
    emulated: bool
    """A loopback emulator answered, not the vendor."""
    targets: Sequence[str]
    n: int
    """Answered requests."""
    latency_s: Mapping[str, Quantile]


def latencies(frame: pl.DataFrame | pl.LazyFrame) -> list[Latency]:
    """One line per target, in their order."""
    parts = _parts(frame)
    targets = dict.fromkeys(part["target"] for part in parts)
    return [_of(str(target), [part for part in parts if part["target"] == target]) for target in targets]


def places(frame: pl.DataFrame | pl.LazyFrame) -> list[Place]:
    """One line per provider and region, in the order in which they were asked; empty where no vendor was."""
    return _places(_parts(frame))


def _places(parts: Sequence[Part]) -> list[Place]:
    several: dict[tuple[Any, ...], list[Part]] = {}
    for part in parts:
        several.setdefault((part["provider"], part["region"], bool(part["emulated"])), []).append(part)
    if all(provider is None and region is None for provider, region, _ in several):
        return []
    return [
        Place(
            provider=provider,
            region=region,
            emulated=emulated,
            targets=tuple(dict.fromkeys(str(part["target"]) for part in own)),
            n=sum(len(part["latency_s"]) for part in own),
            latency_s=_quantiles(_merged(own, "latency_s")),
        )
        for (provider, region, emulated), own in several.items()
    ]


@shared
def _parts(frame: pl.DataFrame | pl.LazyFrame) -> list[Part]:
    """What each target did in each place, in one pass: counts, and times in ascending order."""
    records = frame.lazy()
    columns = set(records.collect_schema().names())
    keys, starts = _stretches(records, columns)
    if len(keys) > MANY:
        first = pl.int_range(pl.len()).min().over([name for name in WHERE if name in columns])
        records = records.sort(first, maintain_order=True).collect().lazy()
        keys, starts = _stretches(records, columns)
    if not keys:
        return []
    attempts = pl.col("attempts").cast(pl.Int64) if "attempts" in columns else pl.lit(None, pl.Int64)
    cached = pl.col("cached_at").is_not_null() if "cached_at" in columns else pl.lit(value=False)
    times = [
        pl.col(name).cast(pl.Float64) if name in columns else pl.lit(None, pl.Float64).alias(name) for name in TIMES
    ]
    counts = {"n_error": pl.col("error").is_not_null(), "n_cached": cached, "uncounted": attempts.is_null()}
    retries = (attempts - 1).clip(lower_bound=0).fill_null(0)
    rows = records.select(*times, retries=retries, **counts).collect(engine="streaming")
    sums = {name: np.add.reduceat(rows[name].cast(pl.Int64).to_numpy(), starts) for name in (*counts, "retries")}
    ends = [*starts[1:], len(rows)]
    parts: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(keys):
        parts.setdefault(key, []).append(i)
    return [
        dict(zip(WHERE, key, strict=True))
        | {name: int(sums[name][own].sum()) for name in sums}
        | {name: _known(rows[name], [(starts[i], ends[i]) for i in own]) for name in TIMES}
        for key, own in parts.items()
    ]


def _stretches(records: pl.LazyFrame, columns: Collection[str]) -> tuple[list[tuple[Any, ...]], list[int]]:
    """Where target and place change from one row to the next: both, and the first row of each stretch.

    A table is written target by target, so there are few; looking rows up by their words would take far longer.
    """
    known = [name for name in WHERE if name in columns]
    ids = pl.sum_horizontal(pl.col(name).rle_id().cast(pl.Int64) for name in known)
    runs = records.select(ids.rle().struct.field("len").alias("n")).collect()["n"].to_list()
    starts = [0, *itertools.accumulate(runs)][:-1]
    first = records.select(pl.col(name).gather(starts) for name in known).collect()
    return [tuple(row.get(name) for name in WHERE) for row in first.to_dicts()], starts


def _known(times: pl.Series, stretches: Sequence[tuple[int, int]]) -> Floats:
    """What is known of some stretches, in ascending order."""
    several = [times.slice(start, end - start).fill_nan(None).drop_nulls().to_numpy() for start, end in stretches]
    return np.sort(np.concatenate(several))


def _merged(parts: Sequence[Part], name: str) -> Floats:
    """Times of several parts in ascending order."""
    if len(parts) == 1:
        found: Floats = parts[0][name]
        return found
    return np.sort(np.concatenate([part[name] for part in parts]))


def _of(target: str, parts: Sequence[Part]) -> Latency:
    values, ttft, pace = (_merged(parts, name) for name in TIMES)
    return Latency(
        target=target,
        n=len(values),
        n_error=sum(part["n_error"] for part in parts),
        n_cached=sum(part["n_cached"] for part in parts),
        n_streamed=len(ttft),
        retries=None if any(part["uncounted"] for part in parts) else sum(part["retries"] for part in parts),
        latency_s=_quantiles(values),
        ttft_s=_quantiles(ttft) if len(ttft) else None,
        tokens_per_s=float(np.median(pace)) if len(pace) else None,
    )


def _quantiles(ordered: Floats) -> dict[str, Quantile]:
    if not len(ordered):
        return {}
    found = {}
    for name, q in QUANTILES.items():
        low, high = quantile_limits_of(ordered, q)
        found[name] = Quantile(value=_quantile(ordered, q), ci_low=low, ci_high=high)
    return found


def _quantile(ordered: Floats, q: float) -> float:
    """Linear between neighbours (Hyndman & Fan 1996, type 7)."""
    place = (len(ordered) - 1) * q
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    parts = _parts(frame)
    targets = dict.fromkeys(part["target"] for part in parts)
    own = {str(target): [part for part in parts if part["target"] == target] for target in targets}
    lines = [_of(target, several) for target, several in own.items()]
    if not any(line.n for line in lines):
        return None
    curves = [_curve(target, _merged(several, "latency_s")) for target, several in own.items()]
    where = _places(parts)
    children = [_by_place(where)] if len(where) > 1 or any(len(place.targets) > 1 for place in where) else []
    return View(
        title="Latency",
        summary=" ".join(_said(line) for line in lines),
        marks=[Ecdf(title="Share of answers that took no longer", samples=curves, x_title="latency", x_format=seconds)],
        table=_table("Latency", lines),
        notes=[NOTE, *earlier(frame)],
        children=[*children, *([_first_tokens(lines)] if any(line.ttft_s for line in lines) else [])],
    )


def _curve(name: str, ordered: Floats) -> Sorted:
    """Its stairs; of many values those at even steps of their share, so that a picture stays small."""
    n = len(ordered)
    if n <= STAIRS:
        return Sorted(name=name, values=ordered.tolist())
    places = np.unique(np.round(np.linspace(0, n - 1, STAIRS)).astype(np.int64))
    return Sorted(name=name, values=ordered[places].tolist(), shares=((places + 1) / n).tolist())


def _by_place(where: Sequence[Place]) -> View:
    columns: list[Column | str] = [
        "Provider",
        "Region",
        "Targets",
        Column(title="Answered", align="right", format=count),
        *(Column(title=name, align="right") for name in QUANTILES),
    ]
    rows = [
        (
            f"{place.provider or OURS}{' (emulated)' if place.emulated else ''}",
            place.region,
            ", ".join(place.targets),
            place.n,
            *_percentiles(place.latency_s),
        )
        for place in where
    ]
    return View(title="Latency by provider and region", table=Table(columns=columns, rows=rows))


def _first_tokens(lines: list[Latency]) -> View:
    return View(title="Time to first token", table=_table("First token", lines))


def _said(line: Latency) -> str:
    if not line.n:
        return f"{line.target} never answered ({count(line.n_error)} requests)."
    return f"{line.target}: half of the answers within {seconds(line.latency_s['p50'].value)} (n {count(line.n)})."


def _table(of: Literal["Latency", "First token"], lines: list[Latency]) -> Table:
    plain = of == "Latency"
    last = ("Retries",) if plain else ("Tokens/s",)
    columns: list[Column | str] = [
        "Target",
        Column(title="Answered" if plain else "Streamed", align="right", format=count),
        *(Column(title=name, align="right") for name in QUANTILES),
        *(Column(title=title, align="right", format=count if plain else number) for title in last),
    ]
    return Table(columns=columns, rows=[_row(line) if plain else _first_row(line) for line in lines])


def _row(line: Latency) -> tuple[Any, ...]:
    return (line.target, line.n, *_percentiles(line.latency_s), line.retries)


def _first_row(line: Latency) -> tuple[Any, ...]:
    return (line.target, line.n_streamed, *_percentiles(line.ttft_s or {}), line.tokens_per_s)


def _percentiles(found: Mapping[str, Quantile]) -> list[str | None]:
    return [_shown(found.get(name)) for name in QUANTILES]


def _shown(found: Quantile | None) -> str | None:
    if found is None:
        return None
    low, high = (seconds(side) if side is not None else "?" for side in (found.ci_low, found.ci_high))
    return f"{seconds(found.value)} ({low} to {high})"


panel = Panel(needs=frozenset({"target", "error", "latency_s"}), build=_build, place=40)
