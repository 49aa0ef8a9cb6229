"""A View as plain text for a terminal, a log or a notebook's second representation: no colour, no escape sequence."""

import math
import textwrap
import unicodedata
from collections.abc import Sequence

from mlaas_lab.view.diff import against
from mlaas_lab.view.markup import visible
from mlaas_lab.view.model import (
    Answers,
    Badge,
    Bars,
    Cell,
    Code,
    Column,
    Ecdf,
    Facts,
    Line,
    Mark,
    ProgressBar,
    Scatter,
    Table,
    Tone,
    View,
    Whiskers,
)
from mlaas_lab.view.words import progress_words

SIGNS = {Tone.GOOD: "✓", Tone.BAD: "✗", Tone.BUSY: "●", Tone.MILD: "○"}
ROWS = 40
"""Rows of a table that a terminal shows."""
CELL = 60
"""Characters of a cell that may wrap; others are cut at half of it."""
SPARKS = "▁▂▃▄▅▆▇█"


def to_text(view: View, width: int = 100) -> str:
    """`view` in lines of at most about `width` characters; a table is never broken into less than its columns need."""
    # Once more over the whole: no mark's own text may slip past.
    return visible("\n".join(_view(view, max(width, 40))).rstrip())


def _view(view: View, width: int) -> list[str]:
    lines = [_one_line(view.title) + (f"  {_cell(view.badge)}" if view.badge else "")]
    lines += _paragraph(view.summary, width)
    for mark in view.marks:
        lines += _mark(mark, width)
    if view.table is not None:
        lines += _table(view.table, width)
    lines += [line for note in view.notes for line in _paragraph(note, width)]
    for child in view.children:
        lines += ["", *_view(child, width)]
    return lines


def _mark(mark: Mark, width: int) -> list[str]:
    match mark:
        case ProgressBar():
            return [_progress(mark)]
        case Facts():
            return _facts(mark)
        case Code():
            return [f"  {visible(line)}" for line in mark.text.splitlines()]
        case Answers():
            return _answers(mark, width)
        case Line():
            return [_spark(series.name, series.y, mark) for series in mark.series]
        case Whiskers() | Bars() | Ecdf() | Scatter():
            # Their table says the same in digits, and it follows.
            return []


def _progress(mark: ProgressBar) -> str:
    if not mark.total:
        return _one_line(progress_words(mark))
    done = round(20 * min(1.0, max(0.0, mark.n / mark.total)))
    return f"{'█' * done}{'░' * (20 - done)} {_one_line(progress_words(mark))}"


def _facts(mark: Facts) -> list[str]:
    names = [_one_line(name) for name, _ in mark.rows]
    room = max((width_of(name) for name in names), default=0)
    return [f"{_pad(name, room)}  {_cell(value)}" for name, (_, value) in zip(names, mark.rows, strict=True)]


def _spark(name: str, values: Sequence[float | None], mark: Line) -> str:
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return f"{_one_line(name)}: no values"
    low, high = min(known), max(known)
    step = max(1, len(known) // 40)
    thin = [sum(known[i : i + step]) / len(known[i : i + step]) for i in range(0, len(known), step)]
    bars = "".join(SPARKS[int(7.999 * (value - low) / (high - low))] if high > low else SPARKS[3] for value in thin)
    return _one_line(f"{name}: {mark.y_format(known[0])} {bars} {mark.y_format(known[-1])}")


def _answers(mark: Answers, width: int) -> list[str]:
    lines = _labelled("prompt", mark.prompt, width)
    against_text = mark.reference
    if mark.reference is not None:
        lines += _labelled("reference", mark.reference, width)
    for answer in mark.answers:
        if answer.text is None:
            shown = f"({answer.error or 'no answer'})" if answer.error or not answer.note else ""
        elif not answer.text:
            shown = "(empty)"
        elif not mark.differences:
            shown = answer.text
        elif against_text is None:
            shown, against_text = answer.text, answer.text
        else:
            pieces = against(answer.text, against_text)
            shown = "".join(f"[{p.text}]" if p.differs else p.text for p in pieces)
        if answer.error and answer.text:
            shown += f"  ({answer.error})"
        note = f"  ({answer.note})" if answer.note else ""
        label = f"{answer.target} ({answer.badge.text})" if answer.badge else answer.target
        lines += _labelled(label, shown + note, width)
    return ["", *lines] if mark.label == "" else ["", _one_line(mark.label), *lines]


def _labelled(label: str, value: str, width: int) -> list[str]:
    head = f"  {_one_line(label)}: "
    room = max(20, width - 4)
    return textwrap.wrap(_clipped(_one_line(value), 4 * room), room, initial_indent=head, subsequent_indent="      ")


def _table(table: Table, width: int) -> list[str]:
    heads = table.heads
    cells = [_cells(row, heads) for row in table.rows[:ROWS]]
    titles = [_one_line(f"{head.title} ({head.unit})" if head.unit else head.title) for head in heads]
    rooms = [max([width_of(title), *(width_of(row[i]) for row in cells)]) for i, title in enumerate(titles)]
    _squeeze(rooms, heads, width)
    lines = [_one_line(table.caption)] if table.caption else []
    lines.append(_row(titles, rooms, heads))
    lines.append("  ".join("─" * room for room in rooms))
    lines += [_row(row, rooms, heads) for row in cells]
    if len(table.rows) > ROWS:
        lines.append(f"… {len(table.rows) - ROWS:,} more rows")
    return lines


def _squeeze(rooms: list[int], heads: Sequence[Column], width: int) -> None:
    """Take from the widest text columns what the line has too much, down to 12 characters."""
    while sum(rooms) + 2 * (len(rooms) - 1) > width:
        candidates = [i for i, head in enumerate(heads) if head.align == "left" and rooms[i] > 12]
        if not candidates:
            return
        rooms[max(candidates, key=lambda i: rooms[i])] -= 1


def _row(cells: Sequence[str], rooms: Sequence[int], heads: Sequence[Column]) -> str:
    padded = (
        _pad(_clipped(cell, room), room, right=head.align == "right")
        for cell, room, head in zip(cells, rooms, heads, strict=True)
    )
    return "  ".join(padded).rstrip()


def _cells(row: Sequence[Cell], heads: Sequence[Column]) -> list[str]:
    return [_clipped(_formatted(value, head), _room(head)) for value, head in zip(row, heads, strict=True)]


def _room(head: Column) -> int:
    return CELL if head.wrap else max(CELL // 2, width_of(head.title))


def _formatted(value: Cell, head: Column) -> str:
    return _cell(value) if isinstance(value, Badge) else _one_line(head.format(value))


def _cell(value: Cell) -> str:
    if isinstance(value, Badge):
        return f"{SIGNS[value.tone]} {_one_line(value.text)}"
    return _one_line(Column(title="").format(value))


def _paragraph(value: str, width: int) -> list[str]:
    return textwrap.wrap(_one_line(value), width) if value else []


def _one_line(value: str) -> str:
    return visible(" ".join(value.split(None)))


def width_of(value: str) -> int:
    """Columns a terminal needs for `value`."""
    if value.isascii():
        return len(value)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value)


def _pad(value: str, room: int, *, right: bool = False) -> str:
    gap = " " * max(0, room - width_of(value))
    return gap + value if right else value + gap


def _clipped(value: str, room: int) -> str:
    if width_of(value) <= room:
        return value
    while width_of(value) > room - 1:
        value = value[: -max(1, (width_of(value) - room + 1) // 2)]
    return value + "…"
