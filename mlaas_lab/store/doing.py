"""What an endpoint does, in one line for a narrow place; what nobody knows is not said."""

from collections.abc import Iterator, Sequence

from mlaas_lab import unix_socket
from mlaas_lab.schema import Endpoint, EndpointState, Work

OLD_S = 90.0
"""A look at a server is said to be old from then on."""
HOUR_S = 3600


def doing(endpoints: Sequence[Endpoint], now: float) -> list[str]:
    """For each its state, what it does, what its server does, and its address; `now` in UTC seconds."""
    jobs = [one.job_id for one in endpoints]
    return [" · ".join(_words(one, now, alone=jobs.count(one.job_id) == 1)) for one in endpoints]


def _words(one: Endpoint, now: float, *, alone: bool) -> Iterator[str]:
    yield str(one.state or (EndpointState.READY if one.ready else EndpointState.STARTING))
    if one.work is not None and one.state not in (EndpointState.SLEEPING, EndpointState.SICK):
        work = one.work
        own = work.by_model.get(one.model, work.tokens_per_s if alone else None)
        if own is not None:
            yield _rate(own)
        if one.model in (work.asked or ()):
            yield "asked"
        if server := list(_server(work, rate=own is None)):
            yield " · ".join(server) if alone else f"server: {', '.join(server)}"
        if now - work.at >= OLD_S:
            yield _ago(now - work.at)
    yield unix_socket.shown(one.base_url)


def _server(work: Work, *, rate: bool) -> Iterator[str]:
    """What all of its endpoints do together; `rate` is left out where the endpoint's own is it."""
    if rate and work.tokens_per_s is not None:
        yield _rate(work.tokens_per_s)
    if work.running is not None:
        yield f"{work.running:.0f} under way"
    if work.waiting:
        yield f"{work.waiting:.0f} wait"
    if work.usd_per_hour is not None:
        yield f"${work.usd_per_hour:.2f}/h"


def _rate(tokens_per_s: float) -> str:
    places = max(0, 3 - len(str(int(tokens_per_s)))) if tokens_per_s else 0
    return f"{tokens_per_s:,.{places}f} tokens/s"


def _ago(age_s: float) -> str:
    return f"{age_s / 60:.0f} min ago" if age_s < 2 * HOUR_S else f"{age_s / HOUR_S:.0f} h ago"
