"""The record of one unit of a plan, answered or not: the one place where a plan's words become a row."""

from typing import Any

from mlaas_lab.errors import CallError
from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.scoring import judged, scored, unscored
from mlaas_lab.pricing import cost
from mlaas_lab.schema import Completion, Cost, Record, Usage
from mlaas_lab.variants import Shown


def answered(plan: Plan, unit: Unit, done: Completion, paid: Cost, *, cached_at: float | None = None) -> Record:
    """What `unit` was answered, scored; `cached_at` is when, if not now."""
    shown = plan.shown(unit)
    sample = judged(plan.samples[unit.place], shown.contexts)
    scores = scored(plan.metrics, done.text, sample)
    return _record(plan, unit, shown, completion=done, cost=paid, cached_at=cached_at, scores=scores)


def failed(plan: Plan, unit: Unit, error: str, message: str, call: CallError | None = None) -> Record:
    """Why `unit` has no answer: `error` in snake case, and in one line; `call` is what went wrong, if it was asked."""
    attempts = call.attempts if call else ()
    billed: Usage = (call.usage if call else None) or Usage()
    route = plan.routes[unit.target]
    return _record(
        plan,
        unit,
        plan.shown(unit),
        completion=None,
        error=error,
        error_message=message,
        attempts=attempts,
        billed=billed,
        # What a filter withheld is billed all the same.
        cost=cost(route.place, billed, at=attempts[-1].ended_at, book=plan.prices) if attempts else Cost(usd=None),
        exchange=call.exchange if call else None,
        scores=unscored(plan.metrics, error),
    )


def _record(plan: Plan, unit: Unit, shown: Shown, **found: Any) -> Record:
    sample, route = plan.samples[unit.place], plan.routes[unit.target]
    return Record(
        target=unit.target,
        provider=route.target.provider,
        region=route.region,
        emulated=route.emulated,
        unchecked=route.unchecked,
        sample_id=sample.id,
        repeat=unit.repeat,
        group=sample.group,
        messages=shown.messages,
        contexts=shown.contexts,
        reference=sample.reference,
        **found,
    )
