"""How wide a place a table needs to be read as rows and columns; in a narrower one each row stands on end.

A style sheet cannot ask whether a table fits, so its width is told by what stands in it: an estimate, for wide letters.
"""

from functools import cache
from pathlib import Path

from mlaas_lab.view.model import Badge, Column, Table

STEPS = (480, 600, 720, 840, 960)
"""Widths, in pixels, below which tables stand on end; what needs more than the last scrolls in a wider place."""
NARROW = 3
"""Columns that fit on a phone."""
WHOLE = 22
"""Characters that are not worth a second line, such as those of a date or a target; longer text may be so narrow."""
RANGE = " ("
"""What begins the interval behind an estimate; where room is scarce the interval stands below it."""
LETTER, BETWEEN = 7.6, 18.0
"""Pixels of a letter, and between two columns."""
WRAPPED = 20
"""Letters in which long text is still read; the style has these widths too."""
ENOUGH_ROWS = 60
"""Rows that are looked at."""


def step(table: Table) -> int:
    """The one of STEPS below which `table` does not fit; 0 where it always does."""
    heads = table.heads
    if len(heads) <= NARROW:
        return 0
    letters = sum(_letters(head, [row[x] for row in table.rows[:ENOUGH_ROWS]]) for x, head in enumerate(heads))
    width = LETTER * letters + BETWEEN * (len(heads) - 1)
    return next((one for one in STEPS if width <= one), STEPS[-1])


def _letters(head: Column, cells: list[object]) -> int:
    """The fewest letters that a line of this column has."""
    named = max((len(word) for word in f"{head.title} {head.unit}".split()), default=0)
    longest = max((_length(head, one) for one in cells), default=0)
    badged = any(isinstance(one, Badge) for one in cells)
    if head.align != "right" and not badged and longest > WHOLE:
        longest = min(longest, WRAPPED if head.wrap else WHOLE)
    return max(named, longest)


def _length(head: Column, value: object) -> int:
    if isinstance(value, Badge):
        return len(value.text) + 2
    estimate, found, interval = head.format(value).partition(RANGE)
    below = len(interval) + 1 if found else 0
    return max(len(estimate), below) if head.align == "right" else len(estimate) + len(found) + len(interval)


@cache
def style(place: str, prefix: str, steps: tuple[int, ...] = STEPS) -> str:
    """The style of tables that stand on end: those of the class `PREFIX-under-STEP` in `place`."""
    rules = Path(__file__).with_name("stood.css").read_text(encoding="utf-8").replace(".P-", f".{prefix}-")
    named = ((one, f"{place} .{prefix}-under-{one}") for one in steps)
    return "".join(rules.replace("TABLE", table).replace("WIDTH", str(one)) for one, table in named)
