"""Views as data for a page: texts, places on an axis and, for each cell, what can be opened from it.

The size of it does not depend on the number of records: tables are of targets and metrics, curves are thinned.
"""

from collections.abc import Sequence
from typing import Protocol

from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Code, Column, Facts, Mark, ProgressBar, Table, View, widths
from mlaas_lab.view.model import Cell
from mlaas_lab.view.words import progress_words
from mlaas_lab.widgets.charts import chart
from mlaas_lab.widgets.texts import CHARS, NAME, plain, text

ROWS = 500
"""Of a table; no panel makes so many unless somebody compares hundreds of targets."""


class Behind(Protocol):
    """Knows what can be opened from a table."""

    def row(self, row: Sequence[Cell], heads: Sequence[Column]) -> dict[str, JSON]:
        """What the cells of a row open."""

    def column(self, title: str) -> dict[str, JSON]:
        """What a column adds to that."""


def sections(views: Sequence[View], behind: Behind | None = None) -> list[JSON]:
    """Every View with its charts and tables; without `behind` nothing can be opened from them."""
    return [_section(view, behind) for view in views]


def marks(several: Sequence[Mark]) -> list[JSON]:
    """Those that a page can draw."""
    drawn = [_mark(mark) for mark in several]
    return [mark for mark in drawn if mark is not None]


def tables(view: View) -> list[tuple[str, Table]]:
    """Every table in a View, with the title it stands under."""
    own = [(view.title, view.table)] if view.table is not None else []
    return [*own, *(found for child in view.children for found in tables(child))]


def _section(view: View, behind: Behind | None) -> dict[str, JSON]:
    return {
        "title": text(view.title, NAME),
        "summary": text(view.summary),
        "marks": marks(view.marks),
        "table": _table(view.table, behind) if view.table is not None else None,
        "notes": [text(note) for note in view.notes],
        "children": [_section(child, behind) for child in view.children],
    }


def _table(table: Table, behind: Behind | None) -> dict[str, JSON]:
    heads = table.heads
    rows = [_row(row, heads, behind) for row in table.rows[:ROWS]]
    columns = [
        {
            "title": text(head.title, NAME),
            "unit": text(head.unit, NAME),
            "num": head.align == "right",
            "wrap": head.wrap,
            "opens": behind.column(head.title) if behind else {},
        }
        for head in heads
    ]
    return {
        "caption": text(table.caption),
        "columns": columns,
        "rows": rows,
        "left": len(table.rows) - len(rows),
        "under": widths.step(table),
    }


def _row(row: Sequence[Cell], heads: Sequence[Column], behind: Behind | None) -> dict[str, JSON]:
    cells = [_cell(v, h) for v, h in zip(row, heads, strict=True)]
    return {"cells": cells, "opens": behind.row(row, heads) if behind else {}}


def _cell(value: Cell, head: Column) -> list[str]:
    """Text, and its tone if it has one."""
    if isinstance(value, Badge):
        return [text(value.text), str(value.tone)]
    return [text(head.format(value))]


def _mark(mark: Mark) -> dict[str, JSON] | None:
    match mark:
        case Facts():
            return _facts(mark)
        case ProgressBar():
            return _progress(mark)
        case Code():
            return {"kind": "code", "title": text(mark.label, NAME), "text": plain(mark.text, CHARS)}
        case _:
            return chart(mark)


def _progress(mark: ProgressBar) -> dict[str, JSON]:
    share = None if not mark.total else round(min(1.0, max(0.0, mark.n / mark.total)), 4)
    title = text(mark.phase or mark.unit, NAME)
    return {"kind": "progress", "title": title, "at": share, "tone": str(mark.tone), "text": text(progress_words(mark))}


def _facts(mark: Facts) -> dict[str, JSON]:
    shown = [[text(name, NAME), *_cell(value, Column(title=""))] for name, value in mark.rows[:ROWS]]
    return {"kind": "facts", "rows": shown}
