"""The endpoints of a server that runs, what it does now, and what that costs beside what others would ask.

What nobody has measured or priced is unknown, not nothing.
"""

from collections.abc import Mapping, Sequence

from mlaas_lab.schema import JSON, EndpointState, Work
from mlaas_lab.view import Badge, Column, Facts, Table, Tone, View
from mlaas_lab.view.formats import count, duration, number, percent, seconds, usd
from mlaas_lab.view.job import HEALTH
from mlaas_lab.widgets.hosted import Asked

UNKNOWN = "unknown"
ADVICE = "unknown; the setting usd_per_hour or rented_gpu says it"
NOBODY = "unknown; no evaluation or load test has asked a hosted target that has a price"


def view(endpoints: Sequence[Mapping[str, JSON]], asked: Sequence[Asked] = ()) -> View:
    """One row an endpoint, each as its job's outcome says it, and what their server does.

    `asked` is what hosted targets would ask for the tokens that it has read and written.
    """
    columns = [
        Column(title="Endpoint"),
        Column(title="State"),
        Column(title="Serves", wrap=True),
        Column(title="First token, cold", align="right", format=_took),
        Column(title="First token, warm", align="right", format=_took),
        Column(title="Against what was trained", wrap=True),
        Column(title="Address", wrap=True),
    ]
    work = next((Work(**one["work"]) for one in endpoints if one.get("work")), None)
    table = Table(columns=columns, rows=[_row(one) for one in endpoints])
    return View(title="Endpoints", table=table, marks=[Facts(rows=_now(work, asked))])


def _now(work: Work | None, asked: Sequence[Asked]) -> list[tuple[str, str]]:
    """What all of them together do, as of the last look."""
    work = work or Work(at=0.0)
    rate = UNKNOWN if work.tokens_per_s is None else f"{number(work.tokens_per_s)} a second"
    return [
        ("Tokens now", rate),
        ("Requests", f"{_n(work.running)} under way, {_n(work.waiting)} in its queue"),
        ("Cache in use", UNKNOWN if work.cache is None else percent(work.cache)),
        ("Price now", _hour(work)),
        ("Per million tokens", _million(work)),
        ("The same tokens elsewhere", "; ".join(map(_elsewhere, asked)) or NOBODY),
    ]


def _n(value: float | None) -> str:
    return UNKNOWN if value is None else count(value)


def _hour(work: Work) -> str:
    return ADVICE if work.usd_per_hour is None else f"{usd(work.usd_per_hour)} an hour ({work.price_source})"


def _million(work: Work) -> str:
    if work.usd_per_hour is None or work.over_s is None:
        return UNKNOWN
    if work.usd_per_million is None:
        return f"unknown; {_n(work.output_tokens)} tokens were written so far"
    tokens = (work.input_tokens or 0.0) + (work.output_tokens or 0.0)
    spent = usd(work.usd_per_hour * work.over_s / 3600)
    return f"{usd(work.usd_per_million)}, idle time paid too: {spent} for {count(tokens)} in {duration(work.over_s)}"


def _elsewhere(one: Asked) -> str:
    return f"{usd(one.usd)} at {one.target}, {usd(one.usd_per_million)} a million ({one.source})"


def _row(one: Mapping[str, JSON]) -> tuple[object, ...]:
    first = (one.get("cold_first_token_s"), one.get("warm_first_token_s"))
    return (one["name"], _state(one), f"{one['model']} on {one['engine']}", *first, _parity(one), one["base_url"])


def _state(one: Mapping[str, JSON]) -> Badge:
    state = str(one.get("state") or (EndpointState.READY if one["ready"] else EndpointState.STARTING))
    return Badge(text=state, tone=HEALTH.get(state, Tone.MILD))


def _took(value_s: float | None) -> str:
    return UNKNOWN if value_s is None else seconds(value_s)


def _parity(one: Mapping[str, JSON]) -> Badge | str:
    found = one.get("parity")
    if found is None:
        return UNKNOWN
    if not found["checked"]:
        return Badge(text="not compared", tone=Tone.BAD)
    if found["first_difference"] is None:
        return Badge(text=f"the same, {found['tokens']} tokens", tone=Tone.GOOD)
    gap = UNKNOWN if found["behind_nats"] is None else f"{number(found['behind_nats'])} nats behind"
    return f"differs from token {found['first_difference']}: {gap}"
