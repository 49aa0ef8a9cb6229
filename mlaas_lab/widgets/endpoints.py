"""The endpoints of a server that runs, as a table: what nobody has measured is unknown, not nothing."""

from collections.abc import Mapping, Sequence

from mlaas_lab.schema import JSON, EndpointState
from mlaas_lab.view import Badge, Column, Table, Tone, View
from mlaas_lab.view.formats import number, seconds
from mlaas_lab.view.job import HEALTH

UNKNOWN = "unknown"


def view(endpoints: Sequence[Mapping[str, JSON]]) -> View:
    """One row an endpoint, each as its job's outcome says it."""
    columns = [
        Column(title="Endpoint"),
        Column(title="State"),
        Column(title="Serves", wrap=True),
        Column(title="First token, cold", align="right", format=_took),
        Column(title="First token, warm", align="right", format=_took),
        Column(title="Against what was trained", wrap=True),
        Column(title="Address", wrap=True),
    ]
    return View(title="Endpoints", table=Table(columns=columns, rows=[_row(one) for one in endpoints]))


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
