"""A month at each target: what it bills, how long answers take, how many servers it needs and how idle they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlaas_lab.planning.demand import Demand
from mlaas_lab.planning.month import Month
from mlaas_lab.view import Bar, Bars, Column, Line, Mark, Series, Table, View
from mlaas_lab.view.formats import count, number, percent, seconds, usd

HOUR_S = 3600.0
DAYS = 7
"""Of the traffic, drawn by the hour."""


def view(demand: Demand, months: Sequence[Month], notes: Sequence[str]) -> View:
    """All targets, the cheapest of them in words."""
    return View(
        title="Plan",
        summary=f"{_days(demand)} of {demand.said}: {_said(months)}",
        marks=_bills(demand, months),
        table=_table(demand, months),
        notes=[*_reasons(months), *_beyond(months), *notes],
    )


def traffic(demand: Demand) -> View:
    """When requests come."""
    hours = min(DAYS, demand.days) * 24
    found = np.bincount((demand.times_s // HOUR_S).astype(np.int64), minlength=hours)[:hours]
    series = [Series(name="requests", x=[i / 24 for i in range(hours)], y=[float(n) for n in found])]
    title = f"Requests in each hour, first {min(DAYS, demand.days)} days"
    return View(
        title="Traffic",
        summary=f"{count(demand.n)} requests, {number(demand.per_day)} a day, "
        f"{number(demand.peak_per_s)} a second in the busiest minute.",
        marks=[Line(title=title, series=series, x_title="day", x_format=number, y_format=count)],
    )


def _days(demand: Demand) -> str:
    return "1 day" if demand.days == 1 else f"{demand.days} days"


def _said(months: Sequence[Month]) -> str:
    known = sorted((one.usd, one.target) for one in months if one.usd is not None)
    unknown = [one.target for one in months if one.usd is None]
    told = "; ".join(f"{name} {usd(bill)}" for bill, name in known)
    return (f"{told}." if known else "") + (f" Of unknown cost: {', '.join(unknown)}." if unknown else "")


def _bills(demand: Demand, months: Sequence[Month]) -> list[Mark]:
    if not any(one.usd for one in months):
        return []
    rows = [Bar(label=one.target, value=one.usd, note="" if one.usd is not None else "unknown") for one in months]
    return [Bars(title=f"Bill of {_days(demand)}", rows=rows, format=usd)]


def _table(demand: Demand, months: Sequence[Month]) -> Table:
    columns: list[Column | str] = [
        Column(title="Target", wrap=True),
        Column(title=_days(demand).capitalize(), align="right"),
        Column(title="95 % interval", align="right"),
        Column(title="Per 1,000 requests", align="right"),
        Column(title="Servers", align="right"),
        Column(title="p50", align="right", format=seconds),
        Column(title="p99", align="right", format=seconds),
        Column(title="p99 of worst day", align="right", format=seconds),
        Column(title="Waited", align="right", format=percent),
        Column(title="Idle", align="right", format=percent),
    ]
    return Table(columns=columns, rows=[_row(demand, one) for one in months])


def _row(demand: Demand, one: Month) -> tuple[Any, ...]:
    times = one.times
    return (
        one.target,
        _money(one.usd),
        _limits(one),
        _money(None if one.usd is None else 1000 * one.usd / demand.n),
        one.servers if one.own else "hosted",
        *((None,) * 3 if times is None else (times.p50_s, times.p99_s, times.worst_day_p99_s)),
        one.waited,
        one.idle,
    )


def _limits(one: Month) -> str | None:
    """What the bill may be, as far as what was measured bounds it."""
    if one.usd is None or (one.usd_low is None and one.usd_high is None):
        return None
    if one.usd_high is None:
        return f"{usd(one.usd_low)} or more"
    return f"up to {usd(one.usd_high)}" if one.usd_low is None else f"{usd(one.usd_low)} to {usd(one.usd_high)}"


def _money(value: float | None) -> str:
    return "unknown" if value is None else usd(value)


def _beyond(months: Sequence[Month]) -> list[str]:
    return [f"Beyond what was measured, {one.target}: {said}." for one in months for said in one.beyond]


def _reasons(months: Sequence[Month]) -> list[str]:
    return [f"{one.target}: {reason}." for one in months for reason in one.reasons]
