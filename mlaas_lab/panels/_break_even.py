"""Break-even as words, a chart and a table: what a day costs at each number of requests, with the bands of both."""

import math
from collections.abc import Sequence
from typing import Any

from mlaas_lab.planning.break_even import BreakEven, Estimate, State, machines
from mlaas_lab.planning.rivals import Rivals
from mlaas_lab.view import Badge, Column, Line, Mark, Series, Table, Tone, View
from mlaas_lab.view.formats import count, usd

NOTE = (
    "The band takes the 95 % intervals of both sides at their ends at once: what a hosted call costs, and what a "
    "machine bears. Each holds alone in 95 % of cases, so both together in at least 90 %."
)
STEPS = 240
"""Places of a curve."""
ROOM = 1.6
"""A chart goes on to so many times the last break-even."""


def view(pairs: Sequence[Rivals], *, utilisation: float) -> View | None:
    """Who is cheaper than whom from where on; None where there is nobody to compare."""
    if not pairs:
        return None
    known = [pair for pair in pairs if pair.found.state is not State.UNKNOWN]
    return View(
        title="Break-even",
        summary=" ".join(said(pair) for pair in known) or "Nobody knows yet.",
        marks=_charts(pairs),
        table=_table(known) if known else None,
        notes=[
            *_unknown(pairs),
            NOTE,
            f"A machine is used to {utilisation:.0%} of what was measured; the rest is room for peaks.",
        ],
    )


def _unknown(pairs: Sequence[Rivals]) -> list[str]:
    """What keeps break-evens from being known, each once."""
    reasons = dict.fromkeys(pair.found.reason for pair in pairs if pair.found.state is State.UNKNOWN)
    return [f"Unknown where it takes part: {reason}." for reason in reasons]


def said(pair: Rivals) -> str:
    """One pair in a sentence."""
    found, what = pair.found, "" if pair.metric is None else f" for right answers by {pair.metric}"
    both = f"{pair.own} against {pair.hosted}{what}"
    if found.state is State.NEVER:
        maybe = "" if found.low is None else f"; the intervals leave {_number(found.low)} a day open"
        return f"{both}: never, a full machine costs more per request{maybe}."
    return f"{both}: cheaper from {_number(found.per_day)} requests a day{_interval(found)}{_again(found)}."


def _interval(found: BreakEven) -> str:
    if found.low == found.high and found.low is not None:
        return ""
    return f" ({_number(found.low)} to {'never' if found.high is None else _number(found.high)})"


def _again(found: BreakEven) -> str:
    if found.always_from is None or found.per_day is None or found.always_from <= found.per_day:
        return ""
    if math.isinf(found.always_from):
        return ", and dearer again with each further machine until that is full"
    return f"; at all numbers from {_number(found.always_from)} on, as a further machine is dearer at first"


def _number(value: float | None) -> str:
    """Whole requests: from the first that pays."""
    return "0" if value is None else count(math.ceil(value - 1e-9))


def _charts(pairs: Sequence[Rivals]) -> list[Mark]:
    """One for each endpoint and way of counting, with all it is held against."""
    found: dict[tuple[str, str | None], list[Rivals]] = {}
    for pair in pairs:
        if pair.call_usd is not None:
            found.setdefault((pair.own, pair.metric), []).append(pair)
    return [_chart(own, metric, several) for (own, metric), several in found.items()]


def _chart(own: str, metric: str | None, pairs: Sequence[Rivals]) -> Line:
    most, day_usd = pairs[0].most_per_day, pairs[0].day_usd
    if most is None or day_usd is None:
        raise ValueError("a pair with a price per call has a machine")
    x = [_end(pairs, most) * i / STEPS for i in range(STEPS + 1)]
    bands = [_machines(x, day_usd, bound) for bound in (most.high, most.low)]
    mine = [machines(n, most.value) * day_usd for n in x]
    series = [Series(name=own, x=x, y=mine, band=(bands[0], bands[1]))]
    series += [_hosted(pair, x) for pair in pairs]
    meets = [(pair.found.per_day, day_usd) for pair in pairs if pair.found.per_day is not None]
    if meets:
        series.append(Series(name="break-even", x=[n for n, _ in meets], y=[cost for _, cost in meets], points=True))
    what = "A day's answers" if metric is None else f"A day's right answers by {metric}"
    return Line(
        title=f"{what}: {own} against what they cost hosted",
        series=series,
        x_title="requests a day" if metric is None else f"requests a day to {own}",
        x_format=count,
        y_format=usd,
    )


def _machines(x: Sequence[float], day_usd: float, most: float | None) -> list[float | None]:
    """What machines cost that bear `most` each; where nothing bounds that, one does."""
    if most is None:
        return [day_usd] * len(x)
    return [machines(n, most) * day_usd if most > 0 else None for n in x]


def _hosted(pair: Rivals, x: Sequence[float]) -> Series:
    price = pair.call_usd or Estimate(value=0.0, low=None, high=None)
    edges = [[None if end is None else n * end for n in x] for end in (price.low, price.high)]
    return Series(name=pair.hosted, x=x, y=[n * price.value for n in x], band=(edges[0], edges[1]))


def _end(pairs: Sequence[Rivals], most: Estimate) -> float:
    ends = [
        end
        for pair in pairs
        for end in (pair.found.per_day, pair.found.high, pair.found.always_from)
        if end is not None and math.isfinite(end)
    ]
    return ROOM * min(max(ends), 6 * most.value) if ends else ROOM * most.value


def _table(pairs: Sequence[Rivals]) -> Table:
    columns: list[Column | str] = [
        "Own",
        "Hosted",
        "Counts",
        "Break-even",
        Column(title="Requests a day", align="right"),
        Column(title="Band", align="right"),
        Column(title="One machine bears", align="right"),
        Column(title="Per 1,000 hosted", align="right"),
    ]
    return Table(columns=columns, rows=[_row(pair) for pair in pairs])


def _row(pair: Rivals) -> tuple[Any, ...]:
    found = pair.found
    known = found.state is State.FOUND
    band = _interval(found).strip(" ()") if known else None
    if found.state is State.NEVER and found.low is not None:
        band = f"{_number(found.low)} to never"
    return (
        pair.own,
        pair.hosted,
        "any answer" if pair.metric is None else f"right by {pair.metric}",
        _badge(found),
        _number(found.per_day) if known else None,
        band or None,
        None if pair.most_per_day is None else f"{_number(pair.most_per_day.value)} a day",
        usd(None) if pair.call_usd is None else usd(1000 * pair.call_usd.value),
    )


def _badge(found: BreakEven) -> Badge:
    if found.state is State.FOUND:
        return Badge(text="found", tone=Tone.GOOD)
    return Badge(text=str(found.state), tone=Tone.BAD if found.state is State.NEVER else Tone.MILD)
