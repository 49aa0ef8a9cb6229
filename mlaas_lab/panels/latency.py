"""How long each target took, with the number of requests behind every percentile and the interval it lies in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.panels._earlier import earlier, taken_over
from mlaas_lab.stats.intervals import Floats, quantile_limits
from mlaas_lab.view import Column, Ecdf, Sorted, Table, View
from mlaas_lab.view.formats import count, number, seconds

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
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


def latencies(frame: pl.DataFrame) -> list[Latency]:
    """One line per target, in their order."""
    return [_of(str(target), part) for target, part in _by_target(frame)]


def _of(target: str, part: pl.DataFrame) -> Latency:
    values, ttft = _values(part, "latency_s"), _values(part, "ttft_s")
    pace = _values(part, "tokens_per_s")
    return Latency(
        target=target,
        n=len(values),
        n_error=len(part) - part["error"].null_count(),
        n_cached=int(taken_over(part).sum()),
        n_streamed=len(ttft),
        retries=_retries(part),
        latency_s=_quantiles(values),
        ttft_s=_quantiles(ttft) if len(ttft) else None,
        tokens_per_s=float(np.median(pace)) if len(pace) else None,
    )


def _by_target(frame: pl.DataFrame) -> Iterator[tuple[Any, pl.DataFrame]]:
    return ((key[0], part) for key, part in frame.group_by("target", maintain_order=True))


def _values(part: pl.DataFrame, column: str) -> Floats:
    if column not in part.columns:
        return np.empty(0)
    return part[column].cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()


def _retries(part: pl.DataFrame) -> int | None:
    if "attempts" not in part.columns or part["attempts"].null_count():
        return None
    return int((part["attempts"] - 1).clip(lower_bound=0).sum())


def _quantiles(values: Floats) -> dict[str, Quantile]:
    if not len(values):
        return {}
    found = {}
    for name, q in QUANTILES.items():
        low, high = quantile_limits(values, q)
        found[name] = Quantile(value=float(np.quantile(values, q)), ci_low=low, ci_high=high)
    return found


def _build(frame: pl.DataFrame) -> View | None:
    lines = latencies(frame)
    if not any(line.n for line in lines):
        return None
    curves = [
        Sorted(name=str(target), values=_values(part, "latency_s").tolist()) for target, part in _by_target(frame)
    ]
    return View(
        title="Latency",
        summary=" ".join(_said(line) for line in lines),
        marks=[Ecdf(title="Share of answers that took no longer", samples=curves, x_title="latency", x_format=seconds)],
        table=_table("Latency", lines),
        notes=[NOTE, *earlier(frame)],
        children=[_first_tokens(lines)] if any(line.ttft_s for line in lines) else [],
    )


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
