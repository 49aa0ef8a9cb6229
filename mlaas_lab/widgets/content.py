"""Views as data for a page: texts, places on an axis and, for each cell, which rows its number stands on.

The size of it does not depend on the number of records: tables are of targets and metrics, curves are thinned.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Bars, Column, Ecdf, Facts, Line, Mark, Table, View, Whiskers
from mlaas_lab.view.markup import cut, glued, visible
from mlaas_lab.view.model import Cell
from mlaas_lab.view.scale import inner_ticks, points, thin, ticks
from mlaas_lab.widgets.which import Choices, Only

ROWS = 500
"""Of a table; no panel makes so many unless somebody compares hundreds of targets."""
POINTS = 160
"""Of a curve."""
CHARS = 2000
"""Of a sentence or a cell."""

NAMES = {
    "Target": "target",
    "A": "a",
    "B": "b",
    "Metric": "metric",
    "Group": "group",
    "Error": "error",
    "Provider": "provider",
    "Region": "region",
}
"""Column of a table → what its cells name."""
ONLY = {
    "No score": Only.UNSCORED,
    "Unpriced": Only.UNPRICED,
    "Retries": Only.RETRIED,
    "Too many": Only.RETRIED,
    "p50": Only.SLOWEST,
    "p95": Only.SLOWEST,
    "p99": Only.SLOWEST,
    "Tokens/s": Only.SLOWEST,
    "Cost": Only.DEAREST,
    "Per 1,000 answers": Only.DEAREST,
    "Per right answer": Only.DEAREST,
    "Per 1,000 right": Only.DEAREST,
    "Per 1 M tokens": Only.DEAREST,
    "Answers": Only.ALL,
    "n": Only.ALL,
}
"""Column of a table → what of its rows is worth seeing."""


def sections(views: Sequence[View], choices: Choices) -> list[JSON]:
    """Every View with its charts and tables."""
    return [_section(view, choices) for view in views]


def tables(view: View) -> list[tuple[str, Table]]:
    """Every table in a View, with the title it stands under."""
    own = [(view.title, view.table)] if view.table is not None else []
    return [*own, *(found for child in view.children for found in tables(child))]


def text(value: str, chars: int = CHARS) -> str:
    """`value` as a page may show it: nothing in it acts, it ends somewhere, and figures stay with their units."""
    return visible(glued(cut(value, chars)))


def _section(view: View, choices: Choices) -> dict[str, JSON]:
    drawn = [_mark(mark) for mark in view.marks]
    return {
        "title": text(view.title, 120),
        "summary": text(view.summary),
        "marks": [mark for mark in drawn if mark is not None],
        "table": _table(view.table, choices) if view.table is not None else None,
        "notes": [text(note) for note in view.notes],
        "children": [_section(child, choices) for child in view.children],
    }


def _table(table: Table, choices: Choices) -> dict[str, JSON]:
    heads = table.heads
    rows = [_row(row, heads, choices) for row in table.rows[:ROWS]]
    columns = [
        {
            "title": text(head.title, 120),
            "unit": text(head.unit, 120),
            "num": head.align == "right",
            "wrap": head.wrap,
            "only": str(ONLY[head.title]) if head.title in ONLY else None,
        }
        for head in heads
    ]
    return {"caption": text(table.caption), "columns": columns, "rows": rows, "left": len(table.rows) - len(rows)}


def _row(row: Sequence[Cell], heads: Sequence[Column], choices: Choices) -> dict[str, JSON]:
    named = {
        NAMES[h.title]: choices.place(NAMES[h.title], v) for h, v in zip(heads, row, strict=True) if h.title in NAMES
    }
    opens: dict[str, JSON] = {field: at for field, at in named.items() if at is not None}
    only = Only.APART if {"a", "b"} <= set(opens) else Only.ERRORS if "error" in opens else Only.WORST
    if not choices.metrics and only is Only.WORST:
        only = Only.ALL
    return {"cells": [_cell(v, h) for v, h in zip(row, heads, strict=True)], "opens": opens | {"only": str(only)}}


def _cell(value: Cell, head: Column) -> list[str]:
    """Text, and its tone if it has one."""
    if isinstance(value, Badge):
        return [text(value.text), str(value.tone)]
    return [text(head.format(value))]


def _mark(mark: Mark) -> dict[str, JSON] | None:
    """What a chart shows, as places between 0 and 1; None for what its table tells as well."""
    match mark:
        case Whiskers():
            return _whiskers(mark)
        case Bars():
            top = max((bar.value for bar in mark.rows if bar.value is not None), default=0.0) or 1.0
            rows = [
                {
                    "label": text(bar.label, 120),
                    "at": None if bar.value is None else max(0.0, bar.value) / top,
                    "note": text(bar.note or mark.format(bar.value)),
                }
                for bar in mark.rows
            ]
            return {"kind": "bars", "title": text(mark.title), "rows": rows}
        case Ecdf():
            return _curves(mark, [(one.name, _stairs(one.values)) for one in mark.samples], mark.x_format, _share, 0.0)
        case Line():
            curves = [(one.name, thin(points(one.x, one.y), POINTS)) for one in mark.series]
            return _curves(mark, curves, mark.x_format, mark.y_format, None)
        case Facts():
            shown = [[text(name, 120), *_cell(value, Column(title=""))] for name, value in mark.rows[:ROWS]]
            return {"kind": "facts", "rows": shown}
        case _:
            return None


def _whiskers(mark: Whiskers) -> dict[str, JSON]:
    known = [v for row in mark.rows for v in (row.mean, row.low, row.high) if v is not None]
    known += [0.0] if mark.zero else []
    ends = ticks(min(known), max(known)) if known else [0.0, 1.0]
    low, high = mark.domain or (ends[0], ends[-1])
    place = _between(low, high)
    rows = [
        {
            "label": text(row.label, 120),
            "at": place(row.mean),
            "low": place(row.low),
            "high": place(row.high),
            "note": text(row.note or mark.format(row.mean)),
            "tone": None if row.tone is None else str(row.tone),
        }
        for row in mark.rows
    ]
    marks = [[place(tick), text(mark.format(tick), 40)] for tick in inner_ticks(low, high)]
    zero = place(0.0) if mark.zero else None
    return {"kind": "whiskers", "title": text(mark.title), "rows": rows, "ticks": marks, "zero": zero}


def _stairs(values: Sequence[float]) -> list[tuple[float, float]]:
    """The share of `values` at or below each of at most POINTS of them."""
    found = sorted(values)
    n = len(found)
    places = sorted({round(i * (n - 1) / (POINTS - 1)) for i in range(POINTS)}) if n else []
    return [(float(found[at]), (at + 1) / n) for at in places]


def _curves(
    mark: Ecdf | Line,
    curves: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    x_format: Callable[[Any], str],
    y_format: Callable[[Any], str],
    start: float | None,
) -> dict[str, JSON] | None:
    """Curves over common axes; `start` is where the x axis begins, None: with the curves."""
    xs = [x for _, curve in curves for x, _ in curve]
    ys = [y for _, curve in curves for _, y in curve]
    if not xs:
        return None
    x_low = min(xs) if start is None else start
    heights = ticks(min(*ys, 0.0) if start is not None else min(ys), max(ys))
    x, y = _between(x_low, max(xs)), _between(heights[0], heights[-1])
    drawn = [{"name": text(name, 120), "points": [[x(a), y(b)] for a, b in curve]} for name, curve in curves]
    return {
        "kind": "curves",
        "title": text(mark.title),
        "x_title": text(mark.x_title, 120),
        "stairs": isinstance(mark, Ecdf),
        "curves": drawn,
        "x_ticks": [[x(tick), text(x_format(tick), 40)] for tick in inner_ticks(x_low, max(xs))],
        "y_ticks": [[y(tick), text(y_format(tick), 40)] for tick in heights],
    }


def _between(low: float, high: float) -> Callable[[float | None], float | None]:
    """Where a value lies between the ends, from 0 to 1."""
    width = (high - low) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else round(min(1.0, max(0.0, (value - low) / width)), 5)

    return place


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
