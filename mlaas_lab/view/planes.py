"""Planes beside each other with one upright axis: a shape for each name, error bars both ways.

What nobody knows on an axis stands in a lane of its own beside the plane, since its place there would be a lie. A bar
without a cap goes on: nothing bounds that side.
"""

from collections.abc import Sequence

from mlaas_lab.view.markup import Markup, cut, element
from mlaas_lab.view.model import Axis, Reach, Scatter, Spot
from mlaas_lab.view.scale import WHOLE, ticks
from mlaas_lab.view.svg import HEIGHT, HUES, empty, figure, legend, plot, shape

LANE = 18.0
"""Percent of a plane's width that the lane of the unknown takes."""
MARGIN = 3.0
"""Percent of a plane's width that its last tick keeps from the edge."""
NEAR = 15.0
"""Percent of a plane's width that labels keep from that lane's."""
CAP = 4
"""Pixels to each side that end an error bar."""
STEPS = 4


def scatter(mark: Scatter) -> Markup:
    """All planes of `mark` under one legend."""
    if not mark.spots:
        return empty(mark.title)
    keys = legend([(i, spot.label, True) for i, spot in enumerate(mark.spots)])
    drawn = [_plane(mark, i) for i in range(len(mark.x))]
    return figure(mark.title, keys, element("div", *drawn, class_="planes"), "")


def _plane(mark: Scatter, index: int) -> Markup:
    axis = mark.x[index]
    frame = _Plane(mark, index)
    marks = [part for i, spot in enumerate(mark.spots) for part in frame.spot(i, spot)]
    picture = plot([*frame.grid(mark.y, axis), *marks], f"{mark.title}, {axis.title}: {_said(mark, index)}")
    return element("div", picture, element("div", cut(axis.title), class_="below"))


def _said(mark: Scatter, index: int) -> str:
    axis = mark.x[index]
    places = ((spot, spot.x[index]) for spot in mark.spots)
    return "; ".join(
        f"{spot.label} {mark.y.format(spot.y.value)} at {axis.unknown if x is None else axis.format(x.value)}"
        for spot, x in places
    )


class _Plane:
    """Where estimates lie in one plane."""

    def __init__(self, mark: Scatter, index: int) -> None:
        known = [spot.x[index] for spot in mark.spots]
        self._index = index
        self._unknown = [i for i, x in enumerate(known) if x is None]
        self._x = _ticks([0.0, *_ends([x for x in known if x is not None])])
        self._y = _ticks(_ends([spot.y for spot in mark.spots]))
        self._width = (0.0 if len(self._unknown) == len(known) else 100 - LANE) if self._unknown else 100 - MARGIN

    def spot(self, hue: int, spot: Spot) -> list[Markup]:
        """Its error bars, then its shape above them."""
        place, y = spot.x[self._index], self._up(spot.y.value)
        x = self._aside(hue) if place is None else self._across(place.value)
        upright = [self._up(v) if v is not None else None for v in (spot.y.low, spot.y.high)]
        bars = _upright(x, y, upright, (HEIGHT, 0.0), hue)
        if place is not None:
            across = [self._across(v) if v is not None else None for v in (place.low, place.high)]
            bars += _across(y, x, across, (0.0, self._width), hue)
        return [*bars, shape(f"{x:.2f}%", y, hue, hollow=spot.hollow)]

    def grid(self, upright: Axis, across: Axis) -> list[Markup]:
        """Lines and their labels, and the lane of what is unknown."""
        out = []
        for tick in self._y:
            y = self._up(tick)
            out += [
                element("line", x1="0", x2=f"{self._width or 100:g}%", y1=y, y2=y, class_="grid"),
                element("text", cut(upright.format(tick)), x="-8", y=y + 4, text_anchor="end"),
            ]
        for x, tick in ((self._across(tick), tick) for tick in self._x if self._width):
            if self._unknown and x > self._width - NEAR:
                continue
            anchor = "start" if x < 2 else "middle"
            out.append(element("text", cut(across.format(tick)), x=f"{x:.2f}%", y=HEIGHT + 18, text_anchor=anchor))
        if self._unknown:
            edge, middle = f"{self._width + 2:.2f}%", f"{(self._width + 100) / 2 + 1:.2f}%"
            out += [
                element("line", x1=edge, x2=edge, y1="0", y2=HEIGHT, class_="zero") if self._width else Markup(""),
                element("text", cut(across.unknown), x=middle, y=HEIGHT + 18, text_anchor="middle"),
            ]
        return out

    def _across(self, value: float) -> float:
        """In percent of the width."""
        return self._width * (value - self._x[0]) / (self._x[-1] - self._x[0])

    def _up(self, value: float) -> float:
        """In pixels from the top."""
        return HEIGHT * (1 - (value - self._y[0]) / (self._y[-1] - self._y[0]))

    def _aside(self, hue: int) -> float:
        """The place of one that is unknown here, beside the others, in percent of the width."""
        first = self._width + 2
        return first + (100 - first) * (self._unknown.index(hue) + 0.5) / len(self._unknown)


def _ticks(values: Sequence[float]) -> list[float]:
    found = ticks(min(values), max(values), STEPS, WHOLE)
    return found if len(found) > 1 else [found[0], found[0] + 1.0]


def _ends(reaches: Sequence[Reach]) -> list[float]:
    return [value for one in reaches for value in (one.value, one.low, one.high) if value is not None]


def _across(y: float, x: float, ends: Sequence[float | None], edges: tuple[float, float], hue: int) -> list[Markup]:
    out = []
    for end, edge in zip(ends, edges, strict=True):
        side = f"{edge if end is None else end:.2f}%"
        out.append(_bar(hue, open_=end is None, x1=f"{x:.2f}%", x2=side, y1=y, y2=y))
        if end is not None:
            out.append(_bar(hue, x1=side, x2=side, y1=y - CAP, y2=y + CAP))
    return out


def _upright(x: float, y: float, ends: Sequence[float | None], edges: tuple[float, float], hue: int) -> list[Markup]:
    out, side = [], f"{x:.2f}%"
    for end, edge in zip(ends, edges, strict=True):
        out.append(_bar(hue, open_=end is None, x1=side, x2=side, y1=y, y2=edge if end is None else end))
        if end is not None:
            # A percentage and pixels do not add up in SVG 1.1: the cap is drawn from the shape's own place.
            cap = element("line", x1=-CAP, x2=CAP, y1="0", y2="0", class_=f"whisker h{hue % HUES}")
            out.append(element("svg", cap, x=side, y=end, overflow="visible"))
    return out


def _bar(hue: int, *, open_: bool = False, **place: str | float) -> Markup:
    dash = {"stroke_dasharray": "2 4"} if open_ else {}
    return element("line", class_=f"whisker h{hue % HUES}", **place, **dash)
