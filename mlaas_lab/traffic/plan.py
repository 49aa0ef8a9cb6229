"""What a load test will send, to whom and when, checked to the last word before anybody is asked or paid."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from mlaas_lab import data, pricing
from mlaas_lab.context import Context
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.evaluation import metering
from mlaas_lab.evaluation.budget import MICRO
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.plan import held_out
from mlaas_lab.evaluation.spendings import Item, item
from mlaas_lab.inference import Limits, Params, Route, parsed, resolve
from mlaas_lab.ledger import Account, Kind
from mlaas_lab.schema import Usage
from mlaas_lab.settings import Settings
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.tasks.load import DURATION_S, STEP_S, Load
from mlaas_lab.traffic import traces
from mlaas_lab.traffic.arrivals import arrivals
from mlaas_lab.traffic.prompts import Ask, MadeUp, Prompts, Questions, shuffled
from mlaas_lab.view.formats import usd

UNLIMITED = 1_000_000
"""Requests at once: nothing of ours holds one back in an open loop."""
WARM_UP_SHARE, MOST_WARM_UP_S = 0.1, 5.0


@dataclass(frozen=True, kw_only=True)
class Party:
    """One target, as it is asked and paid."""

    name: str
    route: Route
    meter: Meter
    item: Item | None
    """What its calls are charged as."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One load."""

    duration_s: float
    rate: float | None = None
    """Offered on the whole; None in a closed loop."""
    times_s: Floats | None = None
    """When requests are wanted, since its start; None in a closed loop."""
    warm_up_s: float = 0.0
    said: str = ""
    """What it is, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is known before the first request."""

    parties: tuple[Party, ...]
    prompts: Prompts
    limits: Limits
    prices: pricing.Lists
    stream: bool
    seed: int
    concurrency: int | None
    first: Step
    """The only one, but for a sweep."""

    def params(self, ask: Ask) -> Params:
        """How `ask` is sampled."""
        return Params(max_tokens=ask.max_tokens)

    def most(self, party: Party, ask: Ask) -> int:
        """What `ask` may cost at `party`, in micro-dollars."""
        return party.meter.most(ask.messages)


def prepare(spec: Load, context: Context) -> Plan:
    """The plan for `spec`; endpoints that are still starting are waited for, once everything else is in order.

    Raises:
        UsageError: for an unknown target or parameter, one target named twice, or a cap below one request.
        DataError: for data or a trace that cannot be read.
        CallError: if a target's key is not set, or its endpoint does not come up.
    """
    trace = None if spec.replay is None else traces.read(spec.replay, spec.map, speed=spec.speed)
    prompts = _prompts(spec, trace, salt=f"{spec.seed} {context.job_id}")
    names = Counter(parsed(word).name for word in spec.targets)
    name, n = names.most_common(1)[0]
    if n > 1:
        raise UsageError(
            f"target {name!r} is named {n} times.", next="More load: raise --rate. Two names: ?as=ANOTHER."
        )
    book = pricing.lists(context.settings)
    longest = Params(max_tokens=_longest(spec, trace))
    routes = {parsed(word).name: _route(word, spec, context.settings) for word in spec.targets}
    meters = {name: Meter(route, longest, retries=spec.retries, book=book) for name, route in routes.items()}
    for route in routes.values():
        # Price lists are read before anybody's clock runs.
        pricing.cost(route.place, Usage(input_tokens=0, output_tokens=0), at=time.time(), book=book)
    why = "--max-usd" if spec.max_usd is not None else Account(context.settings).needs_prices
    if why:
        metering.check(routes.values(), longest, book=book, why=why)
    if spec.max_usd is not None:
        _check_cap(spec.max_usd, meters, prompts)
    return Plan(
        parties=tuple(
            Party(name=name, route=route, meter=meters[name], item=item(Kind.API, route.target, name))
            for name, route in routes.items()
        ),
        prompts=prompts,
        limits=Limits(concurrency=UNLIMITED, retries=spec.retries, timeout_s=spec.timeout_s, stall_s=spec.timeout_s),
        prices=book,
        stream=spec.stream,
        seed=spec.seed,
        concurrency=spec.concurrency,
        first=_first(spec, trace),
    )


def at_rate(spec: Load, rate: float) -> Step:
    """A load at `rate` requests a second.

    Raises:
        UsageError: if that is less than one request.
    """
    duration_s = spec.duration or (STEP_S if spec.sweep else DURATION_S)
    duration_s = min(duration_s, spec.requests / rate) if spec.requests else duration_s
    try:
        times = arrivals(spec.arrivals, rate, duration_s, seed=spec.seed)
    except ValueError as error:
        raise UsageError(f"{error}.", next="Raise --rate or --duration.") from None
    kind = "at random (Poisson)" if spec.arrivals == "poisson" else "evenly"
    said = f"{rate:.4g} requests a second for {duration_s:g} s, {kind}"
    return _step(spec, duration_s, rate=rate, times_s=times, said=said)


def _first(spec: Load, trace: traces.Trace | None) -> Step:
    if trace is not None:
        times = trace.times_s if spec.duration is None else trace.times_s[trace.times_s < spec.duration]
        times = times[: spec.requests]
        duration_s = float(times[-1])
        said = f"{len(times):,} requests of {spec.replay and spec.replay.name} in {duration_s:.4g} s"
        return _step(spec, duration_s, rate=len(times) / duration_s if duration_s else None, times_s=times, said=said)
    if spec.concurrency is not None:
        duration_s = spec.duration or DURATION_S
        return _step(spec, duration_s, said=f"{spec.concurrency} at once for {duration_s:g} s")
    return at_rate(spec, spec.rate) if spec.rate is not None else Step(duration_s=0.0)


def _step(spec: Load, duration_s: float, **fields: object) -> Step:
    usual_s = 0.0 if spec.concurrency and spec.requests else min(WARM_UP_SHARE * duration_s, MOST_WARM_UP_S)
    warm_up_s = usual_s if spec.warmup is None else spec.warmup
    if warm_up_s and warm_up_s >= duration_s:
        raise UsageError(f"--warmup {warm_up_s:g} leaves nothing of {duration_s:g} s to measure.")
    return replace(Step(duration_s=duration_s, warm_up_s=warm_up_s), **fields)  # type: ignore[arg-type]


def _route(word: str, spec: Load, settings: Settings) -> Route:
    route = resolve(word, settings)
    if not spec.ignore_eos:
        return route
    own = route.api.fields
    return replace(route, api=replace(route.api, fields=lambda place: {**own(place), "ignore_eos": True}))


def _prompts(spec: Load, trace: traces.Trace | None, *, salt: str) -> Prompts:
    outputs = [spec.output_tokens] if trace is None else trace.output_tokens.tolist()
    if spec.data is None:
        inputs = [spec.input_tokens] if trace is None else trace.input_tokens.tolist()
        return MadeUp(input_tokens=inputs, output_tokens=outputs, salt=salt)
    # With a trace `--map` speaks of the trace.
    samples = data.samples(data.load(held_out(spec.data), mapping=None if trace else spec.map or None, distinct=True))
    if not samples:
        raise DataError(f"{spec.data} has no rows.")
    return Questions(samples=samples, output_tokens=outputs, order=shuffled(len(samples), spec.seed))


def _longest(spec: Load, trace: traces.Trace | None) -> int:
    return spec.output_tokens if trace is None else int(np.max(trace.output_tokens))


def _check_cap(max_usd: float, meters: Mapping[str, Meter], prompts: Prompts) -> None:
    """See that at least one request may be sent to each target."""
    for name, meter in meters.items():
        most = meter.most(prompts.ask(0).messages)
        if most > int(Decimal(str(max_usd)) * MICRO):
            raise UsageError(
                f"--max-usd {max_usd:g} is less than one request to {name} may cost, {usd(most / MICRO)}.",
                next="Raise it, or shorten --output-tokens.",
            )
