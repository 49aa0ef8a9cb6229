"""What the answers of each target cost, with the source and the day of the price; unpriced is never free."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.panels._earlier import earlier, taken_over
from mlaas_lab.stats.intervals import Floats, Limits
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


def spending(frame: pl.DataFrame) -> list[Spent]:
    """One line per target, in their order."""
    return [_of(str(key[0]), part) for key, part in frame.group_by("target", maintain_order=True)]


def _of(target: str, part: pl.DataFrame) -> Spent:
    answers = part.filter(pl.col("error").is_null())
    now = answers.filter(~taken_over(answers))
    prices, paid = _prices(answers), _prices(now)
    spent = _sum(paid) if len(paid) or len(answers) > len(now) == 0 else None
    low, high = _limits(1000 * prices.to_numpy())
    return Spent(
        target=target,
        n=len(answers),
        n_cached=len(answers) - len(now),
        n_error=len(part) - len(answers),
        n_unpriced=len(now) - len(paid),
        usd=spent if len(paid) == len(now) else None,
        usd_priced=spent,
        usd_per_1000=1000 * _sum(prices) / len(prices) if len(prices) else None,
        ci_low=low,
        ci_high=high,
        input_tokens=_total(answers, "input_tokens"),
        output_tokens=_total(answers, "output_tokens"),
        source=_words(answers, "price_source"),
        date=_words(answers, "price_date"),
    )


def _prices(answers: pl.DataFrame) -> pl.Series:
    return answers["cost_usd"].cast(pl.Float64).fill_nan(None).drop_nulls()


def _sum(prices: pl.Series) -> float:
    return int((prices * MICRO).round().cast(pl.Int64).sum()) / MICRO


def _limits(values: Floats) -> Limits:
    """Student's t limits of the mean (n,): money has no upper bound, so nothing else is known of its spread."""
    n = len(values)
    if n < 2 or np.ptp(values) == 0:
        return None, None
    mean, half = float(values.mean()), t_quantile(0.975, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return max(0.0, mean - half), mean + half


def _total(answers: pl.DataFrame, column: str) -> int | None:
    if column not in answers.columns or answers[column].null_count() or not len(answers):
        return None
    return int(answers[column].sum())


def _words(answers: pl.DataFrame, column: str) -> str | None:
    if column not in answers.columns:
        return None
    return ", ".join(answers[column].drop_nulls().unique().sort().to_list()) or None


def _build(frame: pl.DataFrame) -> View | None:
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
