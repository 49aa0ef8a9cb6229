"""What earlier attempts of a job left behind, and what of it need not be asked again.

An answer is never asked for twice, and neither is a prompt that was refused. What was cancelled or failed in any other
way is asked again, unless only judges are to be. All of it counts only if the plan is still the one it was made for.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from mlaas_lab.context import Context
from mlaas_lab.errors import ContentFiltered, DataError, InvalidRequest, one_line, snake
from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.records import left_behind
from mlaas_lab.store.folder import read_json, write_json

RETRY = "retry_failed"
"""In a job's file: no target is to be asked, only judges that failed."""
LASTING = frozenset(snake(error.__name__) for error in (InvalidRequest, ContentFiltered))
"""Errors that follow from the prompt: it would only meet them again. A key, a quota or a name may have been mended."""


class Left:
    """The rows of earlier attempts that stay; `done` is known once `rows` was read."""

    def __init__(self, plan: Plan, context: Context) -> None:
        """Nothing is read yet; a first attempt has nothing."""
        self.done: set[Unit] = set()
        self._plan = plan
        self._context = context

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Those rows, each unit once."""
        folder = self._context.folder
        kept_for = read_json(folder.plan)
        only_judges = bool((read_json(folder.job) or {}).get(RETRY))
        if only_judges and kept_for != _described(self._plan):
            # Whoever asks for that wants these records mended, not others.
            raise DataError(
                "The data, the targets or what they serve changed since: their answers are not judged again.",
                next="`eval` them anew.",
            )
        if self._context.attempt < 2 or kept_for is None:
            return
        if kept_for != _described(self._plan):
            self._context.note(
                "The data, the targets or what they serve changed since the last attempt: starting anew."
            )
            return
        places = {sample.id: place for place, sample in enumerate(self._plan.samples)}
        try:
            for row in left_behind(folder.records):
                unit = _unit(row, places)
                if unit is not None and unit not in self.done and (only_judges or _stays(row)):
                    self.done.add(unit)
                    yield row
        except DataError as error:
            if only_judges:
                raise
            self._context.note(f"{one_line(error)} Starting anew.")
        if only_judges:
            self.done.update(self._plan.units())

    def remember(self) -> None:
        """Say in the job's folder what the rows that follow were asked for; to be called before the first of them."""
        write_json(self._context.folder.plan, _described(self._plan))


def digest(plan: Plan) -> str:
    """SHA-256 over all that decides what the records of `plan` say: who is asked, what, how, and how it is scored."""
    targets = [
        [name, plan.contents.get(name) or route.url, asdict(route.params(plan.params)), *_variant(plan, name)]
        for name, route in plan.routes.items()
    ]
    metrics = [name + metric.content for name, metric in plan.metrics.items()]
    decides = [targets, plan.samples, metrics, plan.repeats, plan.stream]
    return hashlib.sha256(orjson.dumps(decides)).hexdigest()


def _variant(plan: Plan, name: str) -> Iterator[str]:
    """What target `name` is told besides, by its content."""
    if name in plan.variants:
        yield plan.variants[name].sha256


def _described(plan: Plan) -> dict[str, Any]:
    return {"sha256": digest(plan)}


def _unit(row: Mapping[str, Any], places: Mapping[str, int]) -> Unit | None:
    """What a row is the record of; None for a row that a power failure left half of."""
    target, sample_id, repeat = row.get("target"), row.get("sample_id"), row.get("repeat")
    if not isinstance(target, str) or sample_id not in places or not isinstance(repeat, int):
        return None
    return Unit(target, places[str(sample_id)], repeat)


def _stays(row: Mapping[str, Any]) -> bool:
    return row.get("output") is not None if row.get("error") is None else row["error"] in LASTING
