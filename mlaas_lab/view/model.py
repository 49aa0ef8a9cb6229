"""What can be shown, as data: a View is a title, marks and the table they stand on.

Nothing here knows HTML, SVG or a terminal. Every text may come from a model or a stranger's file and is drawn as text.
A None is unknown and is drawn as such, never as 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from mlaas_lab.view.formats import number, plain


class Tone(StrEnum):
    """What a colour says; each is drawn with a shape of its own too."""

    GOOD = "good"
    BAD = "bad"
    BUSY = "busy"
    MILD = "mild"


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A word that stands out: a state, a verdict."""

    text: str
    tone: Tone = Tone.MILD


Cell = Any
"""A value that its column formats, or a Badge."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column of a table reads."""

    title: str
    align: Literal["left", "right"] = "left"
    format: Callable[[Any], str] = plain
    unit: str = ""
    """Written once, beside the title."""
    wrap: bool = False
    """Long text that may take several lines."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under titled columns; a column given as text has no format of its own."""

    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    @property
    def heads(self) -> tuple[Column, ...]:
        """The columns, each as a Column."""
        return tuple(Column(title=column) if isinstance(column, str) else column for column in self.columns)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One named curve; a y that is None or not finite is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    points: bool = False
    """Few values, each drawn with its shape; otherwise a line."""
    band: tuple[Sequence[float | None], Sequence[float | None]] | None = None
    """Where y may lie at each x, low and high, drawn behind the curve; a None is a gap."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Curves over a common axis, such as a loss over steps."""

    title: str
    series: Sequence[Series]
    x_title: str = ""
    y_title: str = ""
    x_format: Callable[[Any], str] = number
    y_format: Callable[[Any], str] = number
    smooth: bool = False
    """Draw a moving average over the faint curve itself."""


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """An estimate and its interval, under a label; None when nothing could be estimated."""

    label: str
    mean: float | None
    low: float | None
    high: float | None
    note: str = ""
    """Said at the right in place of the formatted estimate."""
    tone: Tone | None = None
    """What its colour says; None colours it by its place, as the same target is in other charts."""
    hue: int | None = None
    """The place of its target, where a target has several rows; None: its own."""


@dataclass(frozen=True, kw_only=True)
class Whiskers:
    """A dot and its interval for each label, on one axis."""

    title: str
    rows: Sequence[Whisker]
    format: Callable[[Any], str] = number
    domain: tuple[float, float] | None = None
    """Ends of the axis; None fits them to the data."""
    zero: bool = False
    """Draw the line of "no difference"."""


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Named values, of which an Ecdf shows the share at or below each."""

    name: str
    values: Sequence[float]
    shares: Sequence[float] | None = None
    """Of all values those at or below each of these, where not all are given; None: each of `values` counts once."""


@dataclass(frozen=True, kw_only=True)
class Ecdf:
    """The share of requests that took no longer than x, for each name."""

    title: str
    samples: Sequence[Sorted]
    x_title: str = ""
    x_format: Callable[[Any], str] = number


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar; None is drawn as unknown, not as nothing."""

    label: str
    value: float | None
    note: str = ""
    """Said in place of the formatted value."""
    parts: Sequence[float] = ()
    """What it is made of, stacked; they add up to `value`. Empty: it is one piece."""


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Amounts beside each other, all from 0."""

    title: str
    rows: Sequence[Bar]
    format: Callable[[Any], str] = number
    parts: Sequence[str] = ()
    """Names of the parts of every bar."""


@dataclass(frozen=True, kw_only=True)
class ProgressBar:
    """n of N; `total` None means nobody knows how many there are."""

    n: int
    total: int | None
    unit: str = "steps"
    rate: float | None = None
    """Units per second."""
    eta_s: float | None = None
    phase: str = ""
    tone: Tone = Tone.BUSY
    spent: str = ""
    """Money so far, in words; empty where none is spent."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one target answered to a prompt, or the error it ended with."""

    target: str
    text: str | None
    error: str = ""
    note: str = ""
    """A short remark: score, latency, cost."""
    tone: Tone = Tone.MILD
    badge: Badge | None = None
    """A label beside its name."""
    facts: Sequence[str] = ()
    """What it took, said under it in a picture; in text the table says the same."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to one prompt side by side, differing words marked against the reference or the first answer."""

    prompt: str
    answers: Sequence[Answer]
    reference: str | None = None
    label: str = ""
    differences: bool = True
    """Mark them."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names and values, such as the parameters of a job."""

    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text as it is, with its line breaks: a log's tail, a command to copy."""

    text: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """An estimate, and how far it may lie to both sides; None is a side that nothing bounds."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What one axis of a Scatter says."""

    title: str
    format: Callable[[Any], str] = number
    unknown: str = "unknown"
    """Said beside those of which nobody knows it; they stand apart, never at 0."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One name's place in every plane of a Scatter."""

    label: str
    y: Reach
    x: Sequence[Reach | None]
    """One for each plane."""
    hollow: bool = False
    """Drawn as an outline: somebody else is better in all."""


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Planes beside each other with one upright axis: a shape for each name, with error bars both ways."""

    title: str
    spots: Sequence[Spot]
    y: Axis
    x: Sequence[Axis]
    """One for each plane."""


Mark = Line | Whiskers | Ecdf | Scatter | Bars | ProgressBar | Answers | Facts | Code


@dataclass(frozen=True, kw_only=True)
class View:
    """Something to show: what it says in words, marks, the table they stand on, and views inside it."""

    title: str
    badge: Badge | None = None
    summary: str = ""
    """The result in words; it comes first."""
    marks: Sequence[Mark] = ()
    table: Table | None = None
    notes: Sequence[str] = ()
    """Small print: what is behind the numbers."""
    children: Sequence["View"] = ()
    folded: bool = False
    """The table is the twin of the marks and stands closed below them."""
