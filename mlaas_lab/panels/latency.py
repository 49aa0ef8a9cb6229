"""How long each target took, with the number of requests behind every percentile and the interval it lies in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from mlaas_lab.evaluation.timings import TIMES, Timed, merged, timed
from mlaas_lab.panels import Panel
from mlaas_lab.panels._earlier import earlier
from mlaas_lab.stats.intervals import Floats, quantile_limits_of
from mlaas_lab.view import Column, Ecdf, Sorted, Table, View
from mlaas_lab.view.formats import count, number, seconds

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
STAIRS = 200
"""Of a curve; more is not seen."""
OURS = "ours"
"""Endpoints that we serve have no vendor."""
NOTE = (
    "A percentile's 95 % interval stands behind it; ? is a side that so few requests cannot bound. Latency is that of "
    "the answered attempt, while other requests ran beside it; retries and back-off are not in it."
)


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
    return [_of(target, own) for target, own in _by_target(timed(frame)).items()]


def places(frame: pl.DataFrame | pl.LazyFrame) -> list[Place]:
    """One line per provider and region, in the order in which they were asked; empty where no vendor was."""
    return _places(timed(frame))


def _by_target(parts: Sequence[Timed]) -> dict[str, list[Timed]]:
    own: dict[str, list[Timed]] = {}
    for part in parts:
        own.setdefault(part.target, []).append(part)
    return own


def _places(parts: Sequence[Timed]) -> list[Place]:
    several: dict[tuple[str | None, str | None, bool], list[Timed]] = {}
    for part in parts:
        several.setdefault((part.provider, part.region, part.emulated), []).append(part)
    if all(provider is None and region is None for provider, region, _ in several):
        return []
    return [
        Place(
            provider=provider,
            region=region,
            emulated=emulated,
            targets=tuple(dict.fromkeys(part.target for part in own)),
            n=sum(len(part.times["latency_s"]) for part in own),
            latency_s=_quantiles(merged(own, "latency_s")),
        )
        for (provider, region, emulated), own in several.items()
    ]


def _of(target: str, parts: Sequence[Timed]) -> Latency:
    values, ttft, pace = (merged(parts, name) for name in TIMES)
    retries = [part.retries for part in parts]
    return Latency(
        target=target,
        n=len(values),
        n_error=sum(part.n_error for part in parts),
        n_cached=sum(part.n_cached for part in parts),
        n_streamed=len(ttft),
        retries=None if None in retries else sum(n or 0 for n in retries),
        latency_s=_quantiles(values),
        ttft_s=_quantiles(ttft) if len(ttft) else None,
        tokens_per_s=_quantile(pace, 0.5) if len(pace) else None,
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
    parts = timed(frame)
    own = _by_target(parts)
    lines = [_of(target, several) for target, several in own.items()]
    if not any(line.n for line in lines):
        return None
    curves = [_curve(target, merged(several, "latency_s")) for target, several in own.items()]
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
