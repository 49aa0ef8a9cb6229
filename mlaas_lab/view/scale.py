"""Numbers behind a chart: ticks, thinning, smoothing. Pure, in plain Python, since a kernel must not wait for numpy."""

import itertools
import math
from collections.abc import Sequence

POINTS = 400
"""A curve on a screen shows no more; the file stays small and a redraw cheap."""

Point = tuple[float, float]


def points(x: Sequence[float], y: Sequence[float | None]) -> list[Point]:
    """The pairs that can be drawn."""
    return [(a, b) for a, b in zip(x, y, strict=True) if b is not None and math.isfinite(a) and math.isfinite(b)]


def thin(curve: Sequence[Point], limit: int = POINTS) -> list[Point]:
    """At most `limit` points that keep the first, the last and, in each stretch, the lowest and the highest."""
    if len(curve) <= limit:
        return list(curve)
    inner, stretches = curve[1:-1], max(1, (limit - 2) // 2)
    heights = [y for _, y in inner]
    kept = [curve[0]]
    for i in range(stretches):
        start, end = i * len(inner) // stretches, (i + 1) * len(inner) // stretches
        part = heights[start:end]
        if part:
            ends = {part.index(min(part)), part.index(max(part))}
            kept += [inner[start + j] for j in sorted(ends)]
    return [*kept, curve[-1]]


def smoothed(curve: Sequence[Point], limit: int | None = None) -> list[Point]:
    """The mean over the nearest thirtieth of the curve, centred: it does not lag behind a fall; at most `limit` of it.

    Of what is smooth already any places do, so they are evenly spread.
    """
    reach, last = max(1, len(curve) // 60), len(curve) - 1
    sums = list(itertools.accumulate((y for _, y in curve), initial=0.0))
    n = len(curve) if limit is None else min(limit, len(curve))
    out = []
    for i in (round(k * last / max(1, n - 1)) for k in range(n)):
        # As far to the left as to the right, also at the ends.
        near = min(reach, i, last - i)
        out.append((curve[i][0], (sums[i + near + 1] - sums[i - near]) / (2 * near + 1)))
    return out


STEPS = (1, 2, 2.5, 5, 10)
WHOLE = (1, 2, 5, 10)
"""Steps whose labels need no digit more."""


def ticks(low: float, high: float, about: int = 5, steps: Sequence[float] = STEPS) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about so many."""
    if not high > low:
        pad = abs(low) / 2 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min(steps, key=lambda factor: abs(math.log(factor * power / rough)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def inner_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that lie within the ends."""
    span = high - low
    return [tick for tick in ticks(low, high, about) if low - 1e-9 * span <= tick <= high + 1e-9 * span]
