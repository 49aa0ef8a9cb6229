"""What a right answer costs: everything that was billed, failed calls and retries too, over the answers that count."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from mlaas_lab.evaluation.bills import Bill, Success, bills
from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, usd

NOTE = (
    "Priced in: every call with its retries, without an answer too, as far as anybody knows what was billed. Answers "
    "from the cache count with what they cost when they were asked. What was refused before it was processed (too "
    "many requests, no key, no such model) costs nothing. Per 1 M tokens: of the calls whose tokens were counted."
)


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    lines = bills(frame)
    if not any(line.usd and line.successes for line in lines):
        return None
    notes = [NOTE]
    if any(not line.whole for line in lines):
        notes.append("“At least”: some calls have no price, or were tried again after an attempt that may be billed.")
    return View(title="Cost of a right answer", summary=_said(lines), table=_table(lines), notes=notes)


def _said(lines: Sequence[Bill]) -> str:
    """By the first metric: what a right answer costs, and who is cheap only per answer."""
    told = []
    for line in lines:
        found = line.successes[0]
        price = _amount(found.usd, whole=line.whole) if found.n else "there is none"
        told.append(f"{line.target}: {price} for a right answer ({found.metric} {found.right_when}).")
    return " ".join([*told, *_dearer(lines)])


def _dearer(lines: Sequence[Bill]) -> list[str]:
    """Who is cheaper per answer and dearer per right one, by the first metric, where all prices are known."""
    whole = [line for line in lines if line.whole and line.usd_per_1000_answers is not None]
    told = []
    for cheap in whole:
        for other in whole:
            paid, others = cheap.successes[0].usd, other.successes[0].usd
            less = (cheap.usd_per_1000_answers or 0) < (other.usd_per_1000_answers or 0)
            if less and others is not None and (paid is None or paid > others):
                told.append(f"{cheap.target} is cheaper than {other.target} per answer, and dearer per right answer.")
    return told


def _table(lines: Sequence[Bill]) -> Table:
    columns: list[Column | str] = [
        "Target",
        Column(title="Right when", wrap=True),
        Column(title="Right", align="right", format=count),
        Column(title="Calls", align="right", format=count),
        Column(title="Per 1,000 answers", align="right"),
        Column(title="Per right answer", align="right"),
        Column(title="95 % interval", align="right"),
        Column(title="Per 1,000 right", align="right"),
        Column(title="Per 1 M tokens", align="right"),
        Column(title="Judge", align="right"),
    ]
    return Table(columns=columns, rows=[_row(line, found) for line in lines for found in line.successes])


def _row(line: Bill, found: Success) -> tuple[Any, ...]:
    return (
        line.target,
        f"{found.metric} {found.right_when}",
        found.n,
        line.n_calls,
        _amount(line.usd_per_1000_answers, whole=line.whole),
        _amount(found.usd, whole=line.whole) if found.n else "none is right",
        words.interval(found.ci_low, found.ci_high, usd) if found.usd is not None else None,
        _amount(found.usd_per_1000, whole=line.whole),
        usd(line.usd_per_million_tokens) if line.usd_per_million_tokens is not None else None,
        None if line.judge_usd is None else _amount(line.judge_usd, whole=not line.n_judged_unknown),
    )


def _amount(value: float | None, *, whole: bool) -> str:
    return usd(value) if whole or value is None else f"at least {usd(value)}"


panel = Panel(needs=frozenset({"target", "sample_id", "error", "cost_usd"}), build=_build, place=31)
