"""The endpoints of a server that runs, what it does now, and what that costs beside what others would ask.

What nobody has measured or priced is unknown, not nothing. The server's figures are of all its endpoints; what it tells
of one of them stands in its row.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlaas_lab import unix_socket
from mlaas_lab.schema import JSON, EndpointState, Work
from mlaas_lab.view.formats import count, duration, number, percent, seconds, usd
from mlaas_lab.view.job import HEALTH
from mlaas_lab.view.model import Badge, Column, Facts, Table, Tone, View

UNKNOWN = "unknown"
ADVICE = "unknown; the setting usd_per_hour or rented_gpu says it"
NOBODY = "unknown; no hosted target with a price was asked yet"
IDLE = {EndpointState.SLEEPING: "none, it sleeps", EndpointState.SICK: "unknown, it is sick"}
"""Of a server that answers nobody: what it did when it was last looked at is over."""
SICK = "It gives no token. Unless it recovers it is started anew by itself; its log says why."
OLD_S = 60.0
"""A look is said to be old from then on."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a hosted target would ask for the tokens that a server has read and written."""

    target: str
    usd: float
    usd_per_million: float
    source: str


def view(endpoints: Sequence[Mapping[str, JSON]], asked: Sequence[Asked] = ()) -> View:
    """One row an endpoint, each as its job's outcome says it, and what their server does."""
    work = next((Work(**one["work"]) for one in endpoints if one.get("work")), None)
    now = [_own(one, work) for one in endpoints]
    columns: list[Column | str] = [
        "Endpoint",
        "State",
        *(["Now"] if any(now) else []),
        Column(title="First token, cold", align="right", format=_took),
        Column(title="First token, warm", align="right", format=_took),
        Column(title="Against what was trained", wrap=True),
    ]
    rows = [
        (
            one["name"],
            _state(one),
            *([own] if any(now) else []),
            one.get("cold_first_token_s"),
            one.get("warm_first_token_s"),
            _parity(one),
        )
        for one, own in zip(endpoints, now, strict=True)
    ]
    places = {"Address": [unix_socket.shown(one["base_url"]) for one in endpoints]}
    engines = {"Engine": [one["engine"] for one in endpoints]}
    where = [(name, ", ".join(dict.fromkeys(values))) for name, values in (places | engines).items()]
    idle = next((IDLE[one["state"]] for one in endpoints if one.get("state") in IDLE), None)
    facts = Facts(rows=[*where, *_now(work, asked, idle=idle)])
    sick = SICK if any(one.get("state") == EndpointState.SICK for one in endpoints) else ""
    return View(title="Endpoints", summary=sick, marks=[facts], table=Table(columns=columns, rows=rows))


def _own(one: Mapping[str, JSON], work: Work | None) -> str | None:
    """What the server tells of this endpoint alone."""
    if work is None or one.get("state") in IDLE:
        return None
    rate = work.by_model.get(one["model"])
    if rate is not None:
        return f"{number(rate)} tokens/s"
    return "asked" if one["model"] in (work.asked or ()) else None


def _now(work: Work | None, asked: Sequence[Asked], *, idle: str | None) -> list[tuple[str, str]]:
    """What all of them together do, as of the last look."""
    seen = [] if work is None else [("Last look", _seen(work.at))]
    work = work or Work(at=0.0)
    rate = UNKNOWN if work.tokens_per_s is None else f"{number(work.tokens_per_s)} a second"
    requests = f"{_n(work.running)} under way, {_n(work.waiting)} in its queue"
    return [
        ("Tokens now", idle or rate),
        ("Requests", idle or requests),
        ("Cache in use", UNKNOWN if work.cache is None else percent(work.cache)),
        ("Price now", _hour(work)),
        ("Per million tokens", _million(work)),
        ("The same tokens elsewhere", "; ".join(map(_elsewhere, asked)) or NOBODY),
        *seen,
    ]


def _seen(at: float) -> str:
    """When it was, and if that is long ago how long; a picture that stays says it for ever."""
    age_s = time.time() - at
    old = f", {duration(age_s)} before this was drawn" if age_s >= OLD_S else ""
    return time.strftime("%H:%M:%S UTC", time.gmtime(at)) + old


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
