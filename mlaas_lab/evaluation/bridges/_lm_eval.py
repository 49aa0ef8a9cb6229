"""A task of lm-evaluation-harness, its questions and its scores, run by `_runner.py` where `lm_eval` is installed.

Only tasks that let a model write (`generate_until`): what compares likelihoods asks for more than an answer. The
question is the harness's own, few-shot examples included, as one turn of a user; an answer is cut where the harness
would have stopped the model, and goes through the task's filters.
"""

import copy
import math
import os
from typing import Any

import yaml
from lm_eval.tasks import TaskManager, get_task_dict


class _Names(yaml.SafeLoader):
    """Reads a task's name past the tags that the harness has of its own."""


_Names.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


class Task:
    """A task of the harness: `FILE.yaml`, which may name others beside it."""

    def __init__(self, task: str, value: str = "", filtered: str = "") -> None:
        """`value`: which of the task's metrics, `filtered`: by which of its filters; by default the only one."""
        file = os.path.abspath(task)
        # Data that a task names lies beside it.
        os.chdir(os.path.dirname(file))
        with open(file, encoding="utf-8") as text:
            name = (yaml.load(text, Loader=_Names) or {}).get("task")  # noqa: S506 - it is a safe one
        if not isinstance(name, str):
            raise ValueError(f"{task} names no single task")
        manager = TaskManager(include_path=os.path.dirname(file), include_defaults=False)
        self._task = get_task_dict([name], manager)[name]
        if self._task.OUTPUT_TYPE != "generate_until" or getattr(self._task, "MULTIMODAL", False):
            raise ValueError(f"the task is of type {self._task.OUTPUT_TYPE}, expected generate_until on text")
        self._value, self._filtered = value, filtered
        self._task.build_all_requests()
        self._asked = {str(one.doc_id): one for one in self._task.instances}

    def samples(self) -> list[dict[str, Any]]:
        """Each document as the harness asks it, with its target."""
        return [
            {"id": name, "messages": [{"role": "user", "content": one.args[0]}], "reference": self._target(one.doc)}
            for name, one in self._asked.items()
        ]

    def score(self, sample: str, output: str, reference: str | None) -> dict[str, Any]:
        """What the task says of `output`."""
        asked = self._asked.get(sample)
        if asked is None or self._target(asked.doc) != (reference or ""):
            return {"value": None, "status": "not_applicable", "reason": f"the task has no such sample {sample!r}"}
        one = copy.copy(asked)
        one.resps, one.filtered_resps = [_cut(output, one.args[1].get("until"))], {}
        for chain in self._task._filters:  # noqa: SLF001 - there is no public way for one answer
            chain.apply([one])
        left = _only(one.filtered_resps, self._filtered, "filtered")
        said = _only(self._task.process_results(one.doc, [left]), self._value, "value")
        try:
            number = float(said)
        except (TypeError, ValueError):
            return {"value": None, "status": "parse_error", "reason": f"the task gives {said!r}, no number"[:300]}
        if not math.isfinite(number):
            return {"value": None, "status": "judge_error", "reason": f"the task gives {number}"}
        return {"value": number, "status": "ok", "reason": f"of {left!r}"[:300]}

    def _target(self, doc: Any) -> str:
        target = self._task.doc_to_target(doc)
        return str(next(iter(target), "") if isinstance(target, list) else target)


def _cut(output: str, until: str | list[str] | None) -> str:
    for stop in [until] if isinstance(until, str) else until or []:
        if stop:
            output = output.split(stop, 1)[0]
    return output


def _only(found: dict[str, Any], name: str, option: str) -> Any:
    """What is called `name`, or the only one."""
    if (name and name not in found) or (not name and len(found) != 1):
        raise ValueError(f"the task gives {', '.join(found)}; choose one with {option}=")
    return found[name or next(iter(found))]
