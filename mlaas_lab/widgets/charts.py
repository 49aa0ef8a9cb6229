"""Charts as places between 0 and 1, so that a page draws them without knowing a scale or a unit.

Curves are thinned: the size of a chart does not depend on the number of records. A chart that is not known here is
left out; the table beside it says the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlaas_lab.schema import JSON
from mlaas_lab.view import Bars, Ecdf, Line, Mark, Reach, Scatter, Sorted, Whiskers
from mlaas_lab.view.scale import Point, inner_ticks, points, smoothed, thin, ticks
from mlaas_lab.widgets.texts import NAME, text

POINTS = 160
"""Of a curve."""
DOTS = 60
"""Of a curve whose points are drawn one by one."""
SMOOTHED = 20
"""Points that a curve has at least before an average says more than they do."""
TICK = 40
"""Characters at an axis."""


@dataclass(frozen=True)
class Curve:
    """One curve, thinned."""

    name: str
    hue: int
    points: Sequence[Point]
    faint: bool = False
    """What its average is drawn over."""
    dots: bool = False
    """Few values, each drawn with its shape."""


def chart(mark: Mark) -> dict[str, JSON] | None:
    """What a chart shows, as places between 0 and 1; None for what its table tells as well."""
    match mark:
        case Whiskers():
            return _whiskers(mark)
        case Bars():
            top = max((bar.value for bar in mark.rows if bar.value is not None), default=0.0) or 1.0
            rows = [
                {
                    "label": text(bar.label, NAME),
                    "at": None if bar.value is None else max(0.0, bar.value) / top,
                    "note": text(bar.note or mark.format(bar.value)),
                }
                for bar in mark.rows
            ]
            return {"kind": "bars", "title": text(mark.title), "rows": rows}
        case Ecdf():
            return _curves(mark, [Curve(one.name, i, _stairs(one)) for i, one in enumerate(mark.samples)], _share, 0.0)
        case Line():
            return _lines(mark)
        case Scatter():
            return {
                "kind": "planes",
                "title": text(mark.title),
                "planes": [_plane(mark, i) for i in range(len(mark.x))],
            }
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
            "label": text(row.label, NAME),
            "at": place(row.mean),
            "low": place(row.low),
            "high": place(row.high),
            "note": text(row.note or mark.format(row.mean)),
            "tone": None if row.tone is None else str(row.tone),
            "hue": i if row.hue is None else row.hue,
        }
        for i, row in enumerate(mark.rows)
    ]
    marks = [[place(tick), text(mark.format(tick), TICK)] for tick in inner_ticks(low, high)]
    zero = place(0.0) if mark.zero else None
    return {"kind": "whiskers", "title": text(mark.title), "rows": rows, "ticks": marks, "zero": zero}


def _stairs(sample: Sorted) -> list[tuple[float, float]]:
    """The share of values at or below each of at most POINTS of them."""
    if sample.shares is not None:
        found = sorted(zip(sample.values, sample.shares, strict=True))
    else:
        found = [(value, (at + 1) / len(sample.values)) for at, value in enumerate(sorted(sample.values))]
    last = len(found) - 1
    places = sorted({round(i * last / (POINTS - 1)) for i in range(POINTS)}) if found else []
    return [(float(found[at][0]), float(found[at][1])) for at in places]


def _lines(mark: Line) -> dict[str, JSON] | None:
    """Each curve, and over one that is to be smoothed its moving average, as the picture in a cell has it."""
    curves: list[Curve] = []
    for hue, one in enumerate(mark.series):
        curve = points(one.x, one.y)
        smooth = mark.smooth and not one.points and len(curve) > SMOOTHED
        curves.append(Curve(one.name, hue, thin(curve, DOTS if one.points else POINTS), faint=smooth, dots=one.points))
        curves += [Curve(one.name, hue, smoothed(curve, POINTS))] if smooth else []
    return _curves(mark, curves, mark.y_format, None)


def _curves(
    mark: Ecdf | Line, curves: Sequence[Curve], y_format: Callable[[Any], str], start: float | None
) -> dict[str, JSON] | None:
    """Curves over common axes; `start` is where the x axis begins, None: with the curves."""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    if not xs:
        return None
    x_low = min(xs) if start is None else start
    heights = ticks(min(*ys, 0.0) if start is not None else min(ys), max(ys))
    x, y = _between(x_low, max(xs)), _between(heights[0], heights[-1])
    drawn = [
        {
            "name": text(curve.name, NAME),
            "hue": curve.hue,
            "faint": curve.faint,
            "dots": curve.dots,
            "points": [[x(a), y(b)] for a, b in curve.points],
        }
        for curve in curves
    ]
    return {
        "kind": "curves",
        "title": text(mark.title),
        "x_title": text(mark.x_title, NAME),
        "stairs": isinstance(mark, Ecdf),
        "curves": drawn,
        "x_ticks": [[x(tick), text(mark.x_format(tick), TICK)] for tick in inner_ticks(x_low, max(xs))],
        "y_ticks": [[y(tick), text(y_format(tick), TICK)] for tick in heights],
    }


def _between(low: float, high: float) -> Callable[[float | None], float | None]:
    """Where a value lies between the ends, from 0 to 1."""
    width = (high - low) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else round(min(1.0, max(0.0, (value - low) / width)), 5)

    return place


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _plane(mark: Scatter, index: int) -> dict[str, JSON]:
    """One plane: every name's place and how far it may lie; None is a side that nothing bounds, or no place at all."""
    axis, known = mark.x[index], [spot.x[index] for spot in mark.spots]
    across = _scale([0.0, *_reached([x for x in known if x is not None])])
    up = _scale(_reached([spot.y for spot in mark.spots]))
    x, y = _between(across[0], across[-1]), _between(up[0], up[-1])
    spots = [
        {
            "label": text(spot.label, NAME),
            "hollow": spot.hollow,
            "y": [y(spot.y.low), y(spot.y.value), y(spot.y.high)],
            "x": None if place is None else [x(place.low), x(place.value), x(place.high)],
        }
        for spot, place in zip(mark.spots, known, strict=True)
    ]
    return {
        "x_title": text(axis.title, NAME),
        "unknown": text(axis.unknown, NAME) if None in known else None,
        "spots": spots,
        "x_ticks": [[x(tick), text(axis.format(tick), TICK)] for tick in across],
        "y_ticks": [[y(tick), text(mark.y.format(tick), TICK)] for tick in up],
    }


def _reached(reaches: Sequence[Reach]) -> list[float]:
    return [value for one in reaches for value in (one.value, one.low, one.high) if value is not None]


def _scale(values: Sequence[float]) -> list[float]:
    found = ticks(min(values), max(values), 4)
    return found if len(found) > 1 else [found[0], found[0] + 1.0]
