"""Where a plan leaves what was measured: longer requests, more at once, more servers than one. Said, not mended."""

from mlaas_lab.planning.demand import Demand, Whole
from mlaas_lab.planning.measured import Answers
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.view.formats import count, number, percent


def lengths(demand: Demand, answers: Answers | None) -> list[str]:
    """Requests of another size than any that was measured; their times are drawn out in proportion."""
    if answers is None:
        return []
    sides = (
        ("input", demand.input_tokens, answers.input_tokens),
        ("output", demand.output_tokens, answers.output_tokens),
    )
    return [said for name, asked, known in sides if asked is not None and (said := _length(name, asked, known))]


def rates(demand: Demand, tried_per_s: float | None) -> list[str]:
    """More requests at once than any measurement sent."""
    if tried_per_s is None or demand.peak_per_s <= tried_per_s:
        return []
    peak, tried = number(demand.peak_per_s), number(tried_per_s)
    return [f"the busiest minute has {peak} requests a second, and it was measured at no more than {tried}"]


def several(servers: int) -> list[str]:
    """More servers than were measured."""
    if servers < 2:
        return []
    return [f"one server was measured; {count(servers)} are taken to bear {count(servers)} times as much"]


def _length(name: str, asked: Whole, known: Floats | None) -> str:
    if known is None:
        return f"the {name} tokens of what was measured are unknown, so lengths count for nothing"
    low, high = float(known.min()), float(known.max())
    share = float(((asked < low) | (asked > high)).mean())
    if not share:
        return ""
    span = f"{count(low)} to {count(high)}" if low < high else count(low)
    of = f"{count(float(asked.min()))} to {count(float(asked.max()))}"
    return (
        f"{percent(share)} of requests have another {name} length than any that was measured ({span} tokens; asked: "
        f"{of}), and their times are drawn out in proportion"
    )
