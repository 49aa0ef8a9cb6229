"""A load test: times by target, and over rising rates the load curve with its knee.

Times count from when a request was wanted, so one that we ourselves kept waiting has waited.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mlaas_lab import panels, records
from mlaas_lab.panels.latency import panel as latency
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.traffic.beside import SERVER
from mlaas_lab.traffic.conclusion import said
from mlaas_lab.traffic.figures import QUANTILES, Figures, Times, figures, with_times
from mlaas_lab.traffic.knee import Knee, curve, knee, objective, telling
from mlaas_lab.view import Column, Ecdf, Line, Mark, Series, Sorted, Table, View
from mlaas_lab.view.formats import count, number, percent, seconds, usd

NOTE = (
    "Times count from the moment a request was wanted, our own delay included, to what is said; failed requests have "
    "none and are never good. A 95 % interval stands behind each percentile; one that so few requests cannot bound is "
    "left out."
)
STAIRS = 200
"""Of a curve; more is not seen."""
NEEDS = (
    *("target", "error", "intended_at", "offered_rate", "started_at", "ended_at", "latency_s", "ttft_s"),
    *("tokens_per_s", "input_tokens", "output_tokens", "cost_usd"),
)
TIMES = {"ttft_s": "First token", "itl_s": "Gap", "tpot_s": "Per token", "latency_s": "Latency"}


def views(folder: JobFolder) -> list[View]:
    """The results of a load test, from its folder; nothing while it still sends."""
    if not folder.records.exists():
        return []
    frame = records.read(folder.records)
    if frame.is_empty():
        return []
    outcome = read_json(folder.outcome) or {}
    spec: Mapping[str, Any] = (read_json(folder.job) or {}).get("spec") or {}
    slo = spec.get("slo") or {}
    drawn = built(frame, slo, notes=outcome.get("result", {}).get("notes", ()))
    at = telling(frame, knee(_steps(frame, slo)))
    shown = (drawn, latency.build(at), _server(folder.path / SERVER))
    return [panels.labelled(view, frame) for view in shown if view is not None]


def built(frame: pl.DataFrame, slo: Mapping[str, float], *, notes: Sequence[str] = ()) -> View:
    """What `frame`, the records of load tests, says; `slo` is what makes an answer good."""
    steps = _steps(frame, slo)
    found = knee(steps)
    at = telling(frame, found)
    bounds = _bounds(frame, slo)
    by_target = [(name, figures(part, bounds)) for name, part in _by_target(at).items()]
    by_rate = [(number(step.offered_per_s), step) for step in steps]
    where = "" if found is None else f", at {number(at['offered_rate'][0])} requests a second"
    children = [View(title=f"Load by target{where}", table=_table(by_target, "Target"))] if by_rate else []
    return View(
        title="Load",
        summary=" ".join([*([] if found is None else [said(found)]), *(_said(name, one) for name, one in by_target)]),
        marks=[*_curves(steps, found), *_first_tokens(at, where)],
        table=_table(by_rate or by_target, "Offered/s" if by_rate else "Target"),
        notes=[*notes, *_good(bounds), NOTE],
        children=[*children, _percentiles(by_target, where), *([_latencies(by_rate)] if by_rate else [])],
    )


def _steps(frame: pl.DataFrame, slo: Mapping[str, float]) -> list[Figures]:
    """The load curve; empty where there was one rate, or each target had rates of its own."""
    return curve(frame, _bounds(frame, slo)) if _is_sweep(frame) else []


def _is_sweep(frame: pl.DataFrame) -> bool:
    rates = frame["offered_rate"].drop_nulls().n_unique()
    each = frame.group_by("target").agg(pl.col("offered_rate").drop_nulls().n_unique())["offered_rate"]
    return rates > 1 and each.min() == rates


def _bounds(frame: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, float]:
    return objective(frame, slo) if _is_sweep(frame) else dict(slo)


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    # Most tables have none, and may have ten million rows.
    columns = [*NEEDS, *({"gaps_s"} & set(frame.lazy().collect_schema().names()))]
    loads = frame.lazy().select(columns).filter(pl.col("intended_at").is_not_null()).collect()
    return None if loads.is_empty() else built(loads, {})


def _server(path: Path) -> View | None:
    """What the server said of itself meanwhile, and the GPU; None where nobody said anything."""
    if not path.exists():
        return None
    samples = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    charts = {
        "Requests in the server": ({"running": "running", "waiting": "waiting"}, count),
        "In use": ({"cache_used": "cache", "gpu_used": "GPU"}, percent),
    }
    marks: list[Mark] = []
    for title, (names, form) in charts.items():
        series = [_series(samples, key, name) for key, name in names.items() if any(key in one for one in samples)]
        if series:
            marks.append(
                Line(title=title, series=series, x_title="since its first sample", x_format=seconds, y_format=form)
            )
    return View(title="The server meanwhile", marks=marks) if marks else None


def _series(samples: Sequence[Mapping[str, float]], key: str, name: str) -> Series:
    x = [one["at"] - samples[0]["at"] for one in samples]
    return Series(name=name, x=x, y=[one.get(key) for one in samples])


def _by_target(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("target", maintain_order=True, as_dict=True)
    return {str(name): part for (name,), part in parts.items()}


def _said(name: str, one: Figures) -> str:
    failed = f", {count(one.failed.n)} failed" if one.failed.n else ""
    half = f", half within {seconds(one.latency_s.p50)}" if one.latency_s.p50 is not None else ""
    last = f", 99 % within {seconds(one.latency_s.p99)}" if one.latency_s.p99 is not None else ""
    return f"{name}: {count(one.n)} requests{failed}{half}{last}."


def _good(bounds: Mapping[str, float]) -> list[str]:
    words = " and ".join(f"{TIMES[name].lower()} within {seconds(bound)}" for name, bound in bounds.items())
    return [f"Good: {words}."] if words else []


def _curves(steps: Sequence[Figures], found: Knee | None) -> list[Mark]:
    """Latency and goodput over the rate that was offered."""
    if not steps:
        return []
    x = [step.offered_per_s or 0.0 for step in steps]
    tails = {name: [getattr(step.latency_s, name) for step in steps] for name in QUANTILES}
    slow = [Series(name=name, x=x, y=y, points=True) for name, y in tails.items() if any(v is not None for v in y)]
    good = Series(name="good answers", x=x, y=[step.good_per_s for step in steps], points=True)
    answered = Series(name="answers", x=x, y=[step.requests_per_s for step in steps], points=True)
    drawn = {
        "Latency over the offered rate": (slow, seconds),
        "Answers a second over the offered rate": ([good, answered], number),
    }
    return [
        Line(
            title=title,
            series=[*series, *_upright(found, series)],
            x_title="requests a second offered",
            x_format=number,
            y_format=form,
        )
        for title, (series, form) in drawn.items()
        if series
    ]


def _upright(found: Knee | None, beside: Sequence[Series]) -> list[Series]:
    """The knee as a line, as high as the highest of the curves."""
    if found is None or found.rate is None:
        return []
    top = max((v for one in beside for v in one.y if v is not None), default=0.0)
    return [Series(name="knee", x=[found.rate, found.rate], y=[0.0, top])]


def _first_tokens(frame: pl.DataFrame, where: str) -> list[Mark]:
    """How long the first token took, and the gaps after it, by target."""
    rows = with_times(frame.filter(pl.col("error").is_null()))
    found: list[Mark] = []
    parts = _by_target(rows)
    for title, values in {
        "Share of answers whose first token took no longer": {n: part["ttft_s"] for n, part in parts.items()},
        "Share of gaps between pieces that were no longer": {n: part["gaps"].explode() for n, part in parts.items()},
    }.items():
        samples = [_stairs(name, column.drop_nulls().sort()) for name, column in values.items()]
        if any(sample.values for sample in samples):
            x_title = "time to first token" if "first" in title else "gap"
            found.append(Ecdf(title=title + where, samples=samples, x_title=x_title, x_format=seconds))
    return found


def _stairs(name: str, ordered: pl.Series) -> Sorted:
    n = len(ordered)
    if n <= STAIRS:
        return Sorted(name=name, values=ordered.to_list())
    places = sorted({round(i * (n - 1) / (STAIRS - 1)) for i in range(STAIRS)})
    return Sorted(name=name, values=ordered.gather(places).to_list(), shares=[(place + 1) / n for place in places])


def _table(lines: Sequence[tuple[str, Figures]], first: str) -> Table:
    """One line a load."""
    objective_known = any(one.good is not None for _, one in lines)
    columns: list[Column | str] = [
        Column(title=first, align="right" if first != "Target" else "left"),
        Column(title="Sent/s", align="right", format=number),
        Column(title="Requests", align="right", format=count),
        Column(title="Failed", align="right"),
        Column(title="429", align="right", format=count),
        Column(title="Answers/s", align="right", format=number),
        Column(title="Tokens/s", align="right", format=number),
        *(
            [Column(title="Good", align="right"), Column(title="Good/s", align="right", format=number)]
            * objective_known
        ),
        Column(title="Late p99", align="right", format=seconds),
        Column(title="Cost", align="right", format=usd),
    ]
    return Table(columns=columns, rows=[_row(name, one, objective_known=objective_known) for name, one in lines])


def _row(name: str, one: Figures, *, objective_known: bool) -> tuple[Any, ...]:
    good = one.good
    interval = "" if good is None else f"{percent(good.share)} ({percent(good.ci_low)} to {percent(good.ci_high)})"
    return (
        name,
        one.sent_per_s,
        one.n,
        f"{count(one.failed.n)} ({percent(one.failed.share)})" if one.failed.n else "0",
        one.limited.n,
        one.requests_per_s,
        one.output_tokens_per_s,
        *((interval, one.good_per_s) if objective_known else ()),
        one.late_p99_s,
        one.cost_usd,
    )


def _percentiles(lines: Sequence[tuple[str, Figures]], where: str) -> View:
    """Every time of each target."""
    columns: list[Column | str] = ["Target", "Time", *(Column(title=q, align="right") for q in QUANTILES)]
    rows = [
        (name, title, *(_percentile(times, q) for q in QUANTILES))
        for name, one in lines
        for field, title in TIMES.items()
        if (times := getattr(one, field)) is not None
    ]
    return View(title=f"Percentiles under load{where}", table=Table(columns=columns, rows=rows))


def _latencies(lines: Sequence[tuple[str, Figures]]) -> View:
    """The latency at each rate."""
    columns: list[Column | str] = [
        Column(title="Offered/s", align="right"),
        *(Column(title=q, align="right") for q in QUANTILES),
    ]
    rows = [(name, *(_percentile(one.latency_s, q) for q in QUANTILES)) for name, one in lines]
    return View(title="Latency at each rate", table=Table(columns=columns, rows=rows))


def _percentile(times: Times, q: str) -> str | None:
    value = getattr(times, q)
    if value is None:
        return None
    low, high = times.intervals[q]
    return f"{seconds(value)} ({seconds(low)} to {seconds(high)})"


panel = panels.Panel(needs=frozenset(NEEDS), build=_build, place=38)
