"""What the answers of each target cost, with the source and the day of the price; unpriced is never free."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mlaas_lab.evaluation.bills import tallied
from mlaas_lab.evaluation.layout import spans
from mlaas_lab.evaluation.sharing import lazily
from mlaas_lab.panels import Panel
from mlaas_lab.panels._earlier import earlier
from mlaas_lab.stats.intervals import Limits
from mlaas_lab.stats.student import t_quantile
from mlaas_lab.view import Bar, Bars, Column, Mark, Table, View
from mlaas_lab.view.formats import count, usd

MICRO = 1_000_000
"""Micro-dollars in a dollar: every call costs a whole number of them, so sums are exact."""
UNPRICED = "Unpriced: served here, in no price list, or its tokens were not counted. It is not the same as free."


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one target's answers cost."""

    target: str
    n: int
    """Answers."""
    n_cached: int
    """Of them, those that came from the cache: they were paid for earlier."""
    n_error: int
    """Calls without an answer; what they cost is not in any figure."""
    n_unpriced: int
    """Answers of unknown price, cached ones not counted."""
    usd: float | None
    """What was spent: all answers but cached ones; None unless each of those has a price."""
    usd_priced: float | None
    """Those that have a price; None when none has, and 0 when every answer is a cached one."""
    usd_per_1000: float | None
    """Mean of the priced answers, cached ones included, times 1,000."""
    ci_low: float | None
    """Of a 95 % interval of `usd_per_1000`; None where the prices cannot tell."""
    ci_high: float | None
    input_tokens: int | None
    """Over all answers; None unless each was counted."""
    output_tokens: int | None
    source: str | None
    """Where the prices come from, each once."""
    date: str | None
    """The days they were valid, each once."""


def spending(frame: pl.DataFrame | pl.LazyFrame) -> list[Spent]:
    """One line per target, in their order."""
    records = lazily(frame)
    rows, said = tallied(frame), _said_of(records)
    return [_of({**row, **said.get(row["target"], {})}) for row in rows]


def _said_of(records: pl.LazyFrame) -> dict[str | None, dict[str, list[str]]]:
    """By target, where the prices of its answers come from and when they were valid, each word once."""
    said = [name for name in ("price_source", "price_date") if name in records.collect_schema().names()]
    if (where := spans(records)) is not None:
        return {target: _once(records.slice(first, n).select("error", *said)) for target, first, n in where}
    answered = records.filter(pl.col("error").is_null()).group_by("target")
    found = answered.agg(pl.col(*said).drop_nulls().unique()) if said else answered.agg()
    return {row.pop("target"): row for row in found.collect(engine="streaming").to_dicts()}


def _once(calls: pl.LazyFrame) -> dict[str, list[str]]:
    """What stands in all columns but `error` of answered calls, each word once; most often it is one."""
    answered = calls.filter(pl.col("error").is_null()).drop("error")
    first = answered.head(1).collect(engine="streaming")
    if first.is_empty():
        return {name: [] for name in first.columns}
    others = [
        (pl.col("error").is_null() & pl.col(name).ne_missing(pl.lit(first[name][0], first.schema[name])))
        .any()
        .alias(name)
        for name in first.columns
    ]
    several = calls.select(others).collect(engine="streaming").row(0, named=True) if others else {}
    return {
        name: (answered.select(name).unique().collect(engine="streaming") if other else first)[name]
        .drop_nulls()
        .to_list()
        for name, other in several.items()
    }


def _of(row: Mapping[str, Any]) -> Spent:
    n, n_priced = row["answered"], row["n_priced"]
    known = row["n_paid"] or (n and not row["n_now"])
    spent = row["new"] / MICRO if known else None
    mean = 1000 * row["answers_paid"] / MICRO / n_priced if n_priced else None
    low, high = _limits(mean, row["scatter"], n_priced)
    return Spent(
        target=str(row["target"]),
        n=n,
        n_cached=n - row["n_now"],
        n_error=row["calls"] - n,
        n_unpriced=row["n_now"] - row["n_paid"],
        usd=spent if row["n_paid"] == row["n_now"] else None,
        usd_priced=spent,
        usd_per_1000=mean,
        ci_low=low,
        ci_high=high,
        input_tokens=_total(row, "input_tokens"),
        output_tokens=_total(row, "output_tokens"),
        source=_words(row, "price_source"),
        date=_words(row, "price_date"),
    )


def _limits(mean: float | None, scatter: float | None, n: int) -> Limits:
    """Student's t limits of the mean: money has no upper bound, so nothing else is known of its spread.

    `scatter` is the standard deviation of single prices, in micro-dollars.
    """
    if mean is None or not scatter or n < 2:
        return None, None
    half = t_quantile(0.975, n - 1) * 1000 * scatter / MICRO / math.sqrt(n)
    return max(0.0, mean - half), mean + half


def _total(row: Mapping[str, Any], column: str) -> int | None:
    known = row[f"{column}_known"]
    return int(row[column]) if known and known == row["answered"] else None


def _words(row: Mapping[str, Any], column: str) -> str | None:
    return ", ".join(sorted(map(str, row.get(column) or ()))) or None


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    lines = spending(frame)
    if not any(line.n for line in lines):
        return None
    bars = [Bar(label=line.target, value=line.usd_priced, note=_amount(line)) for line in lines]
    marks: list[Mark] = [Bars(title="Cost of all answers", rows=bars, format=usd)] if any(b.value for b in bars) else []
    notes = [UNPRICED] if any(line.n_unpriced for line in lines) else []
    lost = sum(line.n_error for line in lines)
    notes += (
        [f"Calls without an answer, {count(lost)} here, may have cost something too; no figure here holds it."]
        if lost
        else []
    )
    notes += [f"{one} No figure of what was spent holds them." for one in earlier(frame)]
    return View(title="Cost", summary=_said(lines), marks=marks, table=_table(lines), notes=notes)


def _said(lines: Sequence[Spent]) -> str:
    return " ".join(f"{line.target}: {_amount(line)} for {_number(line)}." for line in lines)


def _number(line: Spent) -> str:
    more = f", and {count(line.n_cached)} from the cache" if line.n_cached else ""
    return f"{count(line.n - line.n_cached)} answers{more}"


def _amount(line: Spent) -> str:
    if line.usd_priced is None:
        return "unpriced" if line.n else "nothing answered"
    if line.n_unpriced:
        return f"at least {usd(line.usd_priced)}, {count(line.n_unpriced)} of {count(line.n - line.n_cached)} unpriced"
    return usd(line.usd)


def _table(lines: Sequence[Spent]) -> Table:
    columns: list[Column | str] = [
        "Target",
        Column(title="Answers", align="right", format=count),
        Column(title="Unpriced", align="right", format=count),
        Column(title="Cost", align="right"),
        Column(title="Per 1,000 answers", align="right"),
        Column(title="Input", unit="tokens", align="right", format=count),
        Column(title="Output", unit="tokens", align="right", format=count),
        "Price from",
        "Valid on",
    ]
    return Table(columns=columns, rows=[_row(line) for line in lines])


def _row(line: Spent) -> tuple[Any, ...]:
    tokens = (line.input_tokens, line.output_tokens)
    return (
        line.target,
        line.n,
        line.n_unpriced,
        _amount(line),
        _per_1000(line),
        *tokens,
        line.source,
        line.date,
    )


def _per_1000(line: Spent) -> str:
    if line.usd_per_1000 is None:
        return usd(None)
    if line.ci_low is None or line.ci_high is None:
        return usd(line.usd_per_1000)
    return f"{usd(line.usd_per_1000)} ({usd(line.ci_low)} to {usd(line.ci_high)})"


panel = Panel(needs=frozenset({"target", "error", "cost_usd"}), build=_build, place=30)
