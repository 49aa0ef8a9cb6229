"""The record of one unit of a plan, answered or not: the one place where a plan's words become a row."""

from typing import Any

from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.scoring import scored, unscored
from mlaas_lab.schema import Attempt, Completion, Cost, Record


def answered(plan: Plan, unit: Unit, done: Completion, cost: Cost, *, cached_at: float | None = None) -> Record:
    """What `unit` was answered, scored; `cached_at` is when, if not now."""
    sample = plan.samples[unit.place]
    return _record(
        plan, unit, completion=done, cost=cost, cached_at=cached_at, scores=scored(plan.metrics, done.text, sample)
    )


def failed(plan: Plan, unit: Unit, error: str, message: str, attempts: tuple[Attempt, ...] = ()) -> Record:
    """Why `unit` has no answer: `error` in snake case, and in one line."""
    return _record(
        plan,
        unit,
        completion=None,
        error=error,
        error_message=message,
        attempts=attempts,
        scores=unscored(plan.metrics, error),
    )


def _record(plan: Plan, unit: Unit, **found: Any) -> Record:
    sample = plan.samples[unit.place]
    return Record(
        target=unit.target,
        sample_id=sample.id,
        repeat=unit.repeat,
        group=sample.group,
        messages=sample.messages,
        reference=sample.reference,
        **found,
    )
