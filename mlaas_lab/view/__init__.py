"""What everything a command returns looks like: a View, drawn once, for cell, terminal, report and export.

Drawn as text and as HTML with inline SVG; nothing here needs JavaScript, a font or a request.
"""

import shutil
from abc import ABC, abstractmethod
from typing import Any

from mlaas_lab.schema import JSON
from mlaas_lab.view.html import to_html
from mlaas_lab.view.model import (
    Answer,
    Answers,
    Axis,
    Badge,
    Bar,
    Bars,
    Code,
    Column,
    Ecdf,
    Facts,
    Line,
    Mark,
    ProgressBar,
    Reach,
    Scatter,
    Series,
    Sorted,
    Spot,
    Table,
    Tone,
    View,
    Whisker,
    Whiskers,
)
from mlaas_lab.view.text import to_text

__all__ = [
    "Answer",
    "Answers",
    "Axis",
    "Badge",
    "Bar",
    "Bars",
    "Code",
    "Column",
    "Ecdf",
    "Facts",
    "Line",
    "Mark",
    "ProgressBar",
    "Reach",
    "Scatter",
    "Series",
    "Shown",
    "Sorted",
    "Spot",
    "Table",
    "Tone",
    "View",
    "Whisker",
    "Whiskers",
    "to_html",
    "to_text",
]

NOTEBOOK_WIDTH = 100
"""Characters in a line of the text that a notebook keeps beside the HTML."""

NOTEBOOK_CHARS = 20_000
"""Of that text; who reads the HTML never sees it, and the notebook's file keeps both."""


class Shown(ABC):
    """Anything a command returns: it can be seen in a cell, read in a terminal and piped as JSON."""

    drawn: bool = False
    """A front has drawn it where it grew; its value in the cell is not drawn again."""

    still: bool = False
    """Wanted without its live view, should it have one."""

    @abstractmethod
    def view(self) -> View:
        """What to show; asked again each time."""

    @abstractmethod
    def as_json(self) -> JSON:
        """What `--json` prints."""

    def line(self) -> str:
        """Where it stands, in one line, for a terminal that waits."""
        return str(self).partition("\n")[0]

    def __str__(self) -> str:
        return to_text(self.view(), width=shutil.get_terminal_size((NOTEBOOK_WIDTH, 24)).columns)

    def _repr_html_(self) -> str:
        return to_html(self.view())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        view = self.view()
        text = to_text(view, width=NOTEBOOK_WIDTH)
        if len(text) > NOTEBOOK_CHARS:
            text = f"{text[:NOTEBOOK_CHARS]}\n… {len(text) - NOTEBOOK_CHARS:,} more characters"
        return {"text/plain": text, "text/html": to_html(view)}
