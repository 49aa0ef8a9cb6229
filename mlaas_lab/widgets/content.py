"""Views as data for a page: texts, places on an axis and, for each cell, which rows its number stands on.

The size of it does not depend on the number of records: tables are of targets and metrics, curves are thinned.
"""

from collections.abc import Sequence

from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Column, Facts, Table, View
from mlaas_lab.view.model import Cell
from mlaas_lab.widgets.charts import chart
from mlaas_lab.widgets.texts import NAME, text
from mlaas_lab.widgets.which import Choices, Only

ROWS = 500
"""Of a table; no panel makes so many unless somebody compares hundreds of targets."""
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


def _section(view: View, choices: Choices) -> dict[str, JSON]:
    drawn = [_facts(mark) if isinstance(mark, Facts) else chart(mark) for mark in view.marks]
    return {
        "title": text(view.title, NAME),
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
            "title": text(head.title, NAME),
            "unit": text(head.unit, NAME),
            "num": head.align == "right",
            "wrap": head.wrap,
            "opens": _opens(head.title, choices),
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


def _opens(title: str, choices: Choices) -> dict[str, JSON]:
    """What a column adds to the question that its row asks."""
    if title in choices.metrics:
        return {"metric": choices.metrics.index(title), "only": str(Only.WORST)}
    return {"only": str(ONLY[title])} if title in ONLY else {}


def _cell(value: Cell, head: Column) -> list[str]:
    """Text, and its tone if it has one."""
    if isinstance(value, Badge):
        return [text(value.text), str(value.tone)]
    return [text(head.format(value))]


def _facts(mark: Facts) -> dict[str, JSON]:
    shown = [[text(name, NAME), *_cell(value, Column(title=""))] for name, value in mark.rows[:ROWS]]
    return {"kind": "facts", "rows": shown}
