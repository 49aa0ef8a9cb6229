"""Some days of traffic at one target: what it bills, how long answers take, how many servers it needs and how idle.

A hosted one bills by tokens and answers as measured, behind the limits that its vendor sets. One's own has places for
requests, and a queue before them. It knows prices and measurements, no records.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from mlaas_lab import pricing
from mlaas_lab.planning.beyond import lengths, rates, several
from mlaas_lab.planning.break_even import Estimate
from mlaas_lab.planning.demand import DAY_S, Demand, Whole
from mlaas_lab.planning.measured import Answers, Measured, Server
from mlaas_lab.planning.queueing import held_back, most_at_once, waits
from mlaas_lab.pricing.many import costs
from mlaas_lab.stats.intervals import Floats, fewest_for

SLOWER = 2.0
"""Without a bound of the user's: the 99th percentile may be so many times what it is where nobody waits."""
MINUTE_S = 60.0
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one server runs on."""

    usd_per_hour: Decimal | None
    """None: nobody says."""
    hours_per_day: float
    source: str
    date: str | None
    said: str
    """What it is."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a vendor takes in a minute; None: no limit is known."""

    requests: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long answers take, waiting included, in seconds."""

    p50_s: float | None
    p99_s: float | None
    """None: too few answers were measured to bound it; so for the others."""
    worst_day_p99_s: float | None
    """Of the day that has the highest."""


@dataclass(frozen=True, kw_only=True)
class Month:
    """What the days would be at one target; None is unknown."""

    target: str
    own: bool
    usd: float | None
    usd_low: float | None = None
    """With the 95 % interval of what was measured: of a hosted bill the sizes of calls, of servers what one bears."""
    usd_high: float | None = None
    """None: nothing bounds it."""
    source: str | None = None
    date: str | None = None
    servers: int | None = None
    """Machines; None for hosted ones."""
    times: Times | None = None
    waited: float | None = None
    """Share of requests that waited for a place or for a limit; None where no limit is known."""
    idle: float | None = None
    """Share of the machines' time that was paid and not used; None for hosted ones."""
    n_measured: int = 0
    """Measured answers that the times are drawn from."""
    reasons: tuple[str, ...] = ()
    """Why something is unknown, and what to do."""
    beyond: tuple[str, ...] = ()
    """Where the days lie outside of what was measured."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Requests as one target answers them, where none waits."""

    times_s: Floats | None
    """How long each takes (n,)."""
    sizes: tuple[Whole, Whole] | None
    """Input and output tokens of each (n,)."""


def drawn(demand: Demand, answers: Answers | None, *, seed: int) -> Drawn:
    """An answer for each request of `demand`: measured ones at random, longer or shorter as the request is.

    The time to the first token goes with the input, the rest with the output; without a first token all of it does.
    """
    given = demand.input_tokens, demand.output_tokens
    if answers is None:
        return Drawn(times_s=None, sizes=_sizes(*given))
    random = np.random.default_rng([seed, 2])
    place = random.integers(0, len(answers.latency_s), demand.n)
    took = answers.latency_s[place]
    known = answers.input_tokens, answers.output_tokens
    if demand.input_tokens is None or demand.output_tokens is None:
        taken = [None if one is None else one[place].astype(np.int64) for one in known]
        return Drawn(times_s=took, sizes=_sizes(*taken))
    if answers.input_tokens is None or answers.output_tokens is None:
        return Drawn(times_s=took, sizes=_sizes(*given))
    more_in = demand.input_tokens / np.maximum(1.0, answers.input_tokens[place])
    more_out = demand.output_tokens / np.maximum(1.0, answers.output_tokens[place])
    first = np.zeros(demand.n) if answers.ttft_s is None else np.minimum(took, answers.ttft_s[place])
    return Drawn(times_s=first * more_in + (took - first) * more_out, sizes=_sizes(*given))


def _sizes(n_input: Whole | None, n_output: Whole | None) -> tuple[Whole, Whole] | None:
    return None if n_input is None or n_output is None else (n_input, n_output)


def hosted(demand: Demand, one: Measured, limits: Limits, *, book: pricing.Lists, at: float, seed: int = 0) -> Month:
    """The days at a vendor: every call billed by its tokens, answered as measured, behind `limits`."""
    asked = drawn(demand, one.answers, seed=seed)
    reasons = []
    bill = None if asked.sizes is None else costs(one.target, asked.sizes, at=at, book=book)
    if asked.sizes is None:
        reasons.append("nobody says how long its requests are; say --input-tokens N --output-tokens N")
    elif bill is None:
        reasons.append(
            "no price list knows what its calls cost; give one by the setting prices, or say --own if it is yours"
        )
    usd = None if bill is None else float(bill[0].sum()) / MILLION
    ends = (1.0, 1.0) if demand.input_tokens is not None else _ends(one.usd)
    held = _held(demand, asked, limits)
    if asked.times_s is None:
        reasons.append("no record says how long it takes; load or eval it, and name that run")
    if (over := _over(demand, asked, limits)) > 1:
        reasons.append(f"{over:.2g} times its limit: the backlog grows to the end")
    return Month(
        target=one.name,
        own=False,
        usd=usd,
        usd_low=None if ends is None or usd is None else usd * ends[0],
        usd_high=None if ends is None or usd is None else usd * ends[1],
        source=None if bill is None else bill[1],
        date=None if bill is None else pricing.calls.day_of(at).isoformat(),
        times=None if asked.times_s is None else _times(demand, asked.times_s + held, one.answers),
        waited=float((held > 0).mean()) if _amounts(demand, asked, limits) else None,
        n_measured=0 if one.answers is None else len(one.answers.latency_s),
        reasons=tuple(reasons),
        beyond=(*lengths(demand, one.answers), *rates(demand, one.tried_per_s)),
    )


def _ends(usd: Estimate | None) -> tuple[float, float] | None:
    """Limits of what an answer costs, as shares of it."""
    if usd is None or not usd.value or usd.low is None or usd.high is None:
        return None
    return usd.low / usd.value, usd.high / usd.value


def _amounts(demand: Demand, asked: Drawn, limits: Limits) -> list[tuple[Floats, float]]:
    """What each request takes of a limit, and that limit a minute."""
    found: list[tuple[Floats, float]] = []
    if limits.requests is not None:
        found.append((np.ones(demand.n), limits.requests))
    if limits.tokens is not None and asked.sizes is not None:
        found.append(((asked.sizes[0] + asked.sizes[1]).astype(np.float64), limits.tokens))
    return found


def _held(demand: Demand, asked: Drawn, limits: Limits) -> Floats:
    held = np.zeros(demand.n)
    for amounts, a_minute in _amounts(demand, asked, limits):
        held += held_back(demand.times_s + held, amounts, per_s=a_minute / MINUTE_S, burst=a_minute)
    return held


def _over(demand: Demand, asked: Drawn, limits: Limits) -> float:
    """What is asked on the mean over what the tightest limit lets through."""
    minutes = demand.days * DAY_S / MINUTE_S
    return max((float(a.sum()) / (minutes * limit) for a, limit in _amounts(demand, asked, limits)), default=0.0)


def owned(demand: Demand, one: Measured, machine: Machine, *, bound_s: float | None, seed: int = 0) -> Month:
    """The days on servers of one's own, as few as keep the 99th percentile within `bound_s`."""
    if one.server is None:
        return Month(target=one.name, own=True, usd=None, reasons=(one.unserved,))
    work = _work(demand, one.server, seed)
    reasons = []
    if machine.usd_per_hour is None:
        reasons.append("nobody says what its machine costs; say --usd-per-hour, or --gpu NAME --cloud NAME")
    alone_s = float(np.quantile(work.answers_s, 0.99))
    limit_s = SLOWER * alone_s if bound_s is None else bound_s
    if alone_s > limit_s:
        reasons.append(f"no number of servers has a p99 within {limit_s:.3g} s: answers alone take {alone_s:.3g} s")
        return Month(target=one.name, own=True, usd=None, reasons=tuple(reasons))
    servers, waited = _fewest(demand.times_s, work, one.server.places, limit_s)
    paid_s = servers * one.server.places * machine.hours_per_day * 3600 * demand.days
    fewer, more = _servers(demand, one.server, work, limit_s, servers)

    def paid(n: int | None) -> float | None:
        known = machine.usd_per_hour is not None and n is not None
        return float(machine.usd_per_hour or 0) * machine.hours_per_day * demand.days * (n or 0) if known else None

    return Month(
        target=one.name,
        own=True,
        usd=paid(servers),
        usd_low=paid(fewer),
        usd_high=paid(more),
        source=machine.source if machine.usd_per_hour is not None else None,
        date=machine.date,
        servers=servers,
        times=_times(demand, work.answers_s + waited, one.server.answers),
        waited=float((waited > 0).mean()),
        idle=max(0.0, 1 - float(work.holds_s.sum()) / paid_s),
        n_measured=len(one.server.answers.latency_s),
        reasons=tuple(reasons),
        beyond=(*lengths(demand, one.server.answers), *several(servers)),
    )


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What requests are to a server."""

    answers_s: Floats
    """How long each takes (n,), where none waits."""
    holds_s: Floats
    """How long each holds its place (n,), so that all places together do what was measured, and no more."""


def _work(demand: Demand, server: Server, seed: int) -> _Work:
    took = drawn(demand, server.answers, seed=seed).times_s
    if took is None:
        raise ValueError("a server has measured answers")
    exact = server.places / (server.per_s.value * float(server.answers.latency_s.mean()))
    return _Work(answers_s=took, holds_s=took * exact)


def _servers(
    demand: Demand, server: Server, work: _Work, bound_s: float, servers: int
) -> tuple[int | None, int | None]:
    """How many are needed if one bears as much as the interval allows, and as little; None: nothing bounds that."""

    def needed(per_s: float | None) -> int | None:
        if not per_s or per_s == server.per_s.value:
            return servers if per_s else None
        holds_s = work.holds_s * server.per_s.value / per_s
        return _fewest(demand.times_s, replace(work, holds_s=holds_s), server.places, bound_s)[0]

    # Nobody does with less than one.
    return 1 if servers == 1 else needed(server.per_s.high), needed(server.per_s.low)


def _fewest(times_s: Floats, work: _Work, places: int, bound_s: float) -> tuple[int, Floats]:
    """The least number of servers with `places` each, and how long requests then wait (n,).

    More never make anybody wait longer (Kiefer & Wolfowitz 1955), so it is looked for by halves.
    """
    # From the mean load on, below which nobody keeps up, to as many as let nobody wait.
    enough = max(1, -(-most_at_once(times_s, work.holds_s) // places))
    span_s = float(times_s[-1] - times_s[0] + work.holds_s.max())
    low, high = min(enough - 1, int(work.holds_s.sum() / (places * span_s))), enough
    found = np.zeros_like(times_s)
    step = 1
    while high - low > 1:
        middle = min(low + step, (low + high) // 2)
        waited = waits(times_s, work.holds_s, middle * places)
        if float(np.quantile(waited + work.answers_s, 0.99)) <= bound_s:
            high, found = middle, waited
        else:
            low, step = middle, 2 * step
    return high, found


def _times(demand: Demand, latency_s: Floats, answers: Answers | None) -> Times:
    """Quantiles of `latency_s`, as far as the answers that they are drawn from bound them."""
    n = 0 if answers is None else len(answers.latency_s)
    edges = np.searchsorted(demand.times_s, np.arange(1, demand.days) * DAY_S)
    days = [part for part in np.split(latency_s, edges) if len(part)]
    tail = n >= fewest_for(0.99)
    return Times(
        p50_s=float(np.quantile(latency_s, 0.5)) if n >= fewest_for(0.5) else None,
        p99_s=float(np.quantile(latency_s, 0.99)) if tail else None,
        worst_day_p99_s=max(float(np.quantile(day, 0.99)) for day in days) if tail else None,
    )
