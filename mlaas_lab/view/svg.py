"""Charts as inline SVG that grows with its column and keeps the size of its letters.

Horizontal places are percentages and curves live in a stretched inner picture, so one drawing serves a phone, a cell
and a printed page. Each series has a colour and a shape or a dash, so it can be told apart without seeing colour.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlaas_lab.view.markup import NAME, Markup, cut, element
from mlaas_lab.view.model import Bars, Ecdf, Line, Series, Whisker, Whiskers
from mlaas_lab.view.scale import POINTS, Point, inner_ticks, points, smoothed, thin, ticks

HUES = 6
HEIGHT = 180
"""Of the plotting area, in pixels."""
SHAPES = (
    "M-4,0A4,4 0 1 0 4,0A4,4 0 1 0 -4,0Z",
    "M-3.6,-3.6H3.6V3.6H-3.6Z",
    "M0,-4.8L4.6,3.4H-4.6Z",
    "M0,-5L5,0L0,5L-5,0Z",
    "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
    "M0,4.8L4.6,-3.4H-4.6Z",
)
DASHES = (None, "7 3", "2 3", "8 3 2 3", "4 4", "1 5")


def line(mark: Line) -> Markup:
    """Curves with axes, a legend and a sentence for those who do not see them."""
    curves = [(i, s, points(s.x, s.y)) for i, s in enumerate(mark.series)]
    curves = [(i, s, curve) for i, s, curve in curves if curve]
    if not curves:
        return empty(mark.title)
    bands = [(i, _band(series)) for i, series, _ in curves]
    frame = _Frame([*(curve for _, _, curve in curves), *(edge for _, edges in bands for edge in edges if edge)])
    drawn = [_path(f"{frame.steps([*low, *high[::-1]])}Z", i, band=True) for i, (low, high) in bands if low]
    for i, series, curve in curves:
        if series.points or len(curve) == 1:
            drawn += [_path(frame.steps(thin(curve)), i, faint=True), *(frame.dot(p, i) for p in thin(curve, 60))]
        elif mark.smooth and len(curve) > 20:
            drawn += [_path(frame.steps(thin(curve)), i, faint=True), _path(frame.steps(smoothed(curve, POINTS)), i)]
        else:
            drawn.append(_path(frame.steps(thin(curve)), i))
    said = "; ".join(
        f"{s.name} from {mark.y_format(curve[0][1])} to {mark.y_format(curve[-1][1])}" for _, s, curve in curves
    )
    names = [(i, series.name, series.points) for i, series, _ in curves]
    axes = frame.axes(mark.x_format, mark.y_format)
    return figure(mark.title, legend(names), plot([*axes, *drawn], f"{mark.title}: {said}"), mark.x_title)


def ecdf(mark: Ecdf) -> Markup:
    """Stairs from 0 to 100 % for each name."""
    curves: list[tuple[int, str, list[Point]]] = []
    for i, sample in enumerate(mark.samples):
        n = len(sample.values)
        shares = sample.shares or [(k + 1) / n for k in range(n)]
        curves.append((i, sample.name, list(zip(sorted(sample.values), shares, strict=True))))
    curves = [each for each in curves if each[2]]
    if not curves:
        return empty(mark.title)
    frame = _Frame([[(0.0, 0.0), (0.0, 1.0)], *(curve for _, _, curve in curves)])
    drawn = [_path(frame.steps(_stairs(thin(curve, 200))), i) for i, _, curve in curves]
    names = [(i, name, False) for i, name, _ in curves]
    axes = frame.axes(mark.x_format, lambda share: f"{100 * share:.0f} %")
    said = "; ".join(f"{name}: half within {mark.x_format(_median(curve))}" for _, name, curve in curves)
    return figure(mark.title, legend(names), plot([*axes, *drawn], f"{mark.title}: {said}"), mark.x_title)


def whiskers(mark: Whiskers) -> Markup:
    """One row for each label: a dot, its interval, and the same in digits."""
    known = [v for row in mark.rows for v in (row.mean, row.low, row.high) if v is not None]
    low, high = mark.domain or _ends([*known, *([0.0] if mark.zero else [])])
    place = _place(low, high)
    rows = [_whisker_row(row, i if row.hue is None else row.hue, mark, place) for i, row in enumerate(mark.rows)]
    axis = _axis_row(inner_ticks(low, high), place, mark.format)
    return figure(mark.title, None, element("div", *rows, axis, class_="rows"), "")


def bars(mark: Bars) -> Markup:
    """One row for each label; what is unknown has no bar and says so."""
    top = max((bar.value for bar in mark.rows if bar.value is not None), default=0.0) or 1.0
    rows = []
    for i, bar in enumerate(mark.rows):
        sizes = [(i, bar.value)] if not bar.parts else list(enumerate(bar.parts))
        rects, begin = list[Markup](), 0.0
        for hue, size in sizes:
            if size is not None and (size or not bar.parts):
                x, width = f"{100 * begin / top:.2f}%", f"{100 * max(0.0, size) / top:.2f}%"
                rects.append(element("rect", x=x, y=4, width=width, height=14, rx=2, class_=f"fill h{hue % HUES}"))
                begin += max(0.0, size)
        rows.append(_row(bar.label, rects, bar.note or mark.format(bar.value)))
    used = [j for j in range(len(mark.parts)) if any(j < len(bar.parts) and bar.parts[j] for bar in mark.rows)]
    keys = legend([(j, mark.parts[j], False) for j in used], solid=True) if used else None
    return figure(mark.title, keys, element("div", *rows, class_="rows"), "")


class _Frame:
    """Where values lie in the plotting area."""

    def __init__(self, curves: Sequence[Sequence[Point]]) -> None:
        xs = [x for curve in curves for x, _ in curve]
        ys = [y for curve in curves for _, y in curve]
        self.x_low, self.x_high = min(xs), max(xs)
        if self.x_low == self.x_high:
            self.x_low, self.x_high = self.x_low - 0.5, self.x_high + 0.5
        self.y_ticks = ticks(min(ys), max(ys))
        self.y_low, self.y_high = self.y_ticks[0], self.y_ticks[-1]

    def x(self, value: float) -> float:
        """In percent of the width."""
        return 100 * (value - self.x_low) / (self.x_high - self.x_low)

    def y(self, value: float) -> float:
        """In pixels from the top."""
        return HEIGHT * (1 - (value - self.y_low) / (self.y_high - self.y_low))

    def steps(self, curve: Sequence[Point]) -> str:
        """Path through `curve`, 1,000 wide."""
        places = (f"{10 * self.x(x):.1f},{self.y(y):.1f}" for x, y in curve)
        return "M" + "L".join(places)

    def dot(self, point: Point, hue: int) -> Markup:
        """The shape of series `hue` at a point."""
        return shape(f"{self.x(point[0]):.2f}%", self.y(point[1]), hue)

    def axes(self, x_format: Callable[[Any], str], y_format: Callable[[Any], str]) -> list[Markup]:
        """Grid lines and their labels."""
        out = []
        for tick in self.y_ticks:
            y = self.y(tick)
            out.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid", stroke="currentColor"))
            out.append(element("text", cut(y_format(tick)), x="-8", y=y + 4, text_anchor="end"))
        for tick in inner_ticks(self.x_low, self.x_high):
            at = self.x(tick)
            anchor = "start" if at < 2 else "end" if at > 98 else "middle"
            out.append(element("text", cut(x_format(tick)), x=f"{at:.2f}%", y=HEIGHT + 18, text_anchor=anchor))
        return out


def _band(series: Series) -> tuple[list[Point], list[Point]]:
    """Both edges, where both are known."""
    low, high = series.band or ([], [])
    known = [(x, a, b) for x, a, b in zip(series.x, low, high, strict=False) if a is not None and b is not None]
    return [(x, a) for x, a, _ in known], [(x, b) for x, _, b in known]


def _path(d: str, hue: int, *, faint: bool = False, band: bool = False) -> Markup:
    path = element(
        "path",
        d=d,
        fill="currentColor" if band else "none",
        stroke=None if band else "currentColor",
        stroke_dasharray=None if faint or band else DASHES[_look(hue)],
        vector_effect="non-scaling-stroke",
        class_=f"fill h{hue % HUES} band" if band else f"curve h{hue % HUES}" + (" faint" if faint else ""),
    )
    box = {"viewBox": f"0 0 1000 {HEIGHT}", "preserveAspectRatio": "none"}
    return element("svg", path, width="100%", height=HEIGHT, **box)


def shape(x: str, y: float, hue: int, kind: str = "", *, hollow: bool = False) -> Markup:
    """The shape of series `hue`, its middle at a place; hollow is its outline alone."""
    colour = kind or f"h{hue % HUES}"
    path = element("path", d=SHAPES[_look(hue)], class_=f"{'curve' if hollow else 'fill'} {colour}")
    return element("svg", path, x=x, y=y, class_="at", overflow="visible")


def plot(parts: Sequence[Markup], said: str) -> Markup:
    """A picture of curves or places, with a sentence for those who do not see it."""
    said = cut(said, 4 * NAME)
    title = element("title", said)
    attributes = {"role": "img", "aria_label": said, "class_": "plot", "overflow": "visible"}
    drawing = element("svg", title, *parts, width="100%", height=HEIGHT + 24, **attributes)
    return element("div", drawing, class_="frame")


def figure(title: str, keys: Markup | None, drawing: Markup, below: str) -> Markup:
    """A drawing under its title and legend."""
    head = element("figcaption", element("span", cut(title), class_="name"), keys) if title or keys else None
    return element("figure", head, drawing, element("div", cut(below), class_="below") if below else None)


def empty(title: str) -> Markup:
    """A figure without anything to draw."""
    return figure(title, None, element("p", "nothing measured yet", class_="note"), "")


def legend(names: Sequence[tuple[int, str, bool]], *, solid: bool = False) -> Markup:
    """Hue, name and whether it is drawn as dots, of each series; `solid`: they are areas."""
    items = []
    for hue, name, dots in names:
        dash = {} if solid else _dash(hue, dots=dots)
        stroke = element("line", x1="0", x2="24", y1=6, y2=6, class_=f"curve h{hue % HUES}", **dash)
        swatch = element("svg", stroke, shape("12", 6, hue) if dots else None, width=24, height=12, aria_hidden="true")
        items.append(element("span", swatch, cut(name), class_="key"))
    return element("span", *items, class_="legend")


def _dash(hue: int, *, dots: bool) -> dict[str, str]:
    dash = None if dots else DASHES[_look(hue)]
    return {"stroke_dasharray": dash} if dash else {}


def _look(hue: int) -> int:
    """Which shape or dash goes with series `hue`: the seventh has the first one's colour, and another shape."""
    return (hue + hue // HUES) % HUES


def _stairs(curve: Sequence[Point]) -> list[Point]:
    out, before = [], 0.0
    for x, y in curve:
        out += [(x, before), (x, y)]
        before = y
    return out


def _median(curve: Sequence[Point]) -> float:
    return next(x for x, share in curve if share >= 0.5)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    marks = ticks(min(values), max(values))
    return marks[0], marks[-1]


def _place(low: float, high: float) -> Callable[[float], str]:
    def place(value: float) -> str:
        return f"{100 * (min(high, max(low, value)) - low) / (high - low):.2f}%"

    return place


def _whisker_row(row: Whisker, hue: int, mark: Whiskers, place: Callable[[float], str]) -> Markup:
    kind = f"h{hue % HUES}" if row.tone is None else str(row.tone)
    parts: list[Markup] = [element("line", x1="0", x2="100%", y1=11, y2=11, class_="grid")]
    if mark.zero:
        parts.append(element("line", x1=place(0), x2=place(0), y1="0", y2="22", class_="zero"))
    if row.low is not None and row.high is not None:
        a, b = place(row.low), place(row.high)
        parts += [
            element("line", x1=a, x2=b, y1=11, y2=11, class_=f"whisker {kind}"),
            element("line", x1=a, x2=a, y1=7, y2=15, class_=f"whisker {kind}"),
            element("line", x1=b, x2=b, y1=7, y2=15, class_=f"whisker {kind}"),
        ]
    if row.mean is not None:
        parts.append(shape(place(row.mean), 11, hue, kind))
    return _row(row.label, parts, row.note or mark.format(row.mean))


def _row(label: str, parts: Sequence[Markup | None], note: str) -> Markup:
    picture = element("svg", *parts, width="100%", height=22, overflow="visible", aria_hidden="true")
    return element(
        "div",
        element("div", cut(label), class_="who"),
        element("div", picture, class_="lane"),
        element("div", cut(note), class_="value"),
        class_="row",
    )


def _axis_row(marks: Sequence[float], place: Callable[[float], str], format: Callable[[Any], str]) -> Markup:  # noqa: A002
    texts = [element("text", cut(format(tick)), x=place(tick), y=12, text_anchor="middle") for tick in marks]
    picture = element("svg", *texts, width="100%", height=16, overflow="visible", aria_hidden="true")
    empty = element("div", class_="who"), element("div", class_="value")
    return element("div", empty[0], element("div", picture, class_="lane"), empty[1], class_="row scale")
