"""An Inspect AI task's questions and its scorer, run by `_runner.py` where `inspect_ai` is installed.

The task's own solver makes the question and reads the answer: it is run with a model that has just the one answer to
give. A solver that asks twice, or wants tools, a sandbox or images, is refused: one question and one answer would not
be what it measures.
"""

import asyncio
import importlib.util
import math
import os
import sys
from typing import Any

from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ModelName, ModelOutput
from inspect_ai.scorer import Target
from inspect_ai.solver import TaskState

WORDS = {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Inspect's own marks as numbers: correct, partial, incorrect, no answer."""


class Asked(BaseException):
    """The solver has asked its question, and that was all we wanted; no Exception, so that none catches it."""


class Task:
    """A task of Inspect's: `FILE.py@name`."""

    def __init__(self, task: str, scorer: int = 0, value: str = "") -> None:
        """`scorer` counts from 1, 0: the only one; `value`: which one, of a scorer that gives several."""
        file, _, name = task.rpartition("@")
        if not file.endswith(".py"):
            raise ValueError(f"{task} names no task, expected FILE.py@name")
        file = os.path.abspath(file)
        # As Inspect does it: a task finds its data and modules beside itself.
        os.chdir(os.path.dirname(file))
        sys.path.insert(0, os.getcwd())
        made = getattr(_module(file), name, None)
        if made is None:
            raise ValueError(f"{file} has no task {name!r}")
        self._task, self._value = made(), value
        self._samples = {
            str(number if one.id is None else one.id): one for number, one in enumerate(self._task.dataset, 1)
        }
        self._scorer = self._chosen(scorer)
        self._loop = asyncio.Runner()
        if self._task.sandbox is not None or any(one.sandbox or one.files for one in self._samples.values()):
            raise ValueError("the task needs a sandbox, which a bridge has not")

    def _chosen(self, number: int) -> Any:
        scorers = self._task.scorer or []
        if not 1 <= (number or 1) <= len(scorers) or (number == 0 and len(scorers) != 1):
            raise ValueError(f"the task has {len(scorers)} scorers, choose one as scorer=1 and so on")
        return scorers[(number or 1) - 1]

    def samples(self) -> list[dict[str, Any]]:
        """Each sample as it is asked, with its first target."""
        for name, sample in [*self._samples.items()][:1]:
            # What asks twice is told by letting it have an answer.
            self._loop.run(self._solved(name, sample, ""))
        return [self._shown(name, sample) for name, sample in self._samples.items()]

    def score(self, sample: str, output: str, reference: str | None) -> dict[str, Any]:
        """What the task's scorer says of `output`."""
        one = self._samples.get(sample)
        if one is None or _first(one) != (reference or ""):
            return {"value": None, "status": "not_applicable", "reason": f"the task has no such sample {sample!r}"}
        state, _ = self._loop.run(self._solved(sample, one, output))
        said = self._loop.run(self._scorer(state, Target(one.target)))
        return self._number(said)

    def _shown(self, name: str, sample: Sample) -> dict[str, Any]:
        _, messages = self._loop.run(self._solved(name, sample, None))
        turns = []
        for message in messages:
            if not isinstance(message.content, str) and any(part.type != "text" for part in message.content):
                raise ValueError(f"sample {name!r} holds more than text")
            turns.append({"role": message.role, "content": message.text})
        return {"id": name, "messages": turns, "reference": _first(sample)}

    async def _solved(self, name: str, sample: Sample, output: str | None) -> tuple[TaskState, list[Any]]:
        """The state after the solver has run on `output`, and what it asked; without one, only that."""
        asked: list[Any] = []

        async def generate(state: TaskState, *_: Any, **__: Any) -> TaskState:
            if asked or state.tools:
                raise ValueError("the solver wants tools" if state.tools else "the solver asks more than once")
            asked.extend(state.messages)
            if output is None:
                raise Asked
            state.output = ModelOutput.from_content("bridge/answer", output)
            state.messages.append(state.output.message)
            return state

        turns = [ChatMessageUser(content=sample.input)] if isinstance(sample.input, str) else [*sample.input]
        state = TaskState(
            model=ModelName("bridge/answer"),
            sample_id=name,
            epoch=1,
            input=sample.input,
            messages=turns,
            target=Target(sample.target),
            choices=sample.choices,
            metadata=sample.metadata,
        )
        try:
            state = await self._task.solver(state, generate)
        except Asked:
            return state, asked
        if not asked:
            raise ValueError("the solver asks nothing")
        return state, asked

    def _number(self, said: Any) -> dict[str, Any]:
        if said is None:
            return {"value": None, "status": "not_applicable", "reason": "the scorer gives no score"}
        value = said.value.get(self._value) if isinstance(said.value, dict) and self._value else said.value
        if isinstance(value, (dict, list)) or value is None:
            return {"value": None, "status": "parse_error", "reason": f"the scorer gives {said.value!r}, no one number"}
        try:
            number = WORDS[str(value).lower()] if str(value).lower() in WORDS else float(value)
        except ValueError:
            return {"value": None, "status": "parse_error", "reason": f"the scorer gives {value!r}, no number"}
        if not math.isfinite(number):
            return {"value": None, "status": "judge_error", "reason": said.explanation or "the scorer could not tell"}
        return {"value": number, "status": "ok", "reason": said.explanation}


def _first(sample: Sample) -> str:
    """The first of a sample's targets; the scorer knows all of them."""
    return sample.target if isinstance(sample.target, str) else next(iter(sample.target), "")


def _module(file: str) -> Any:
    spec = importlib.util.spec_from_file_location(os.path.basename(file).removesuffix(".py"), file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
