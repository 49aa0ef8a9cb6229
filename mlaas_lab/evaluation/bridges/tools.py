"""The tools whose tasks can be bridged, and their scorers as metrics: what all of them share."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mlaas_lab.evaluation.bridges import Bridge, scored, unfit
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that lives in an interpreter of its own."""

    metric: str
    """What scores answers as its tasks do; its script, beside this file, has an underscore before it."""
    setting: str
    """Of ours, which names its interpreter."""
    example: str
    """How a task of its own is written."""
    install: str = ""
    """The packages that its interpreter needs, as pip takes them."""
    alone: bool = False
    """Whether it reaches nobody on this machine either, and opens its interpreter's files only."""

    def python(self, settings: Settings) -> str:
        """Its interpreter; empty for ours."""
        return str(getattr(settings, self.setting))

    def bridge(self, python: str, **opening: Any) -> Bridge:
        """One process of it, not yet started."""
        need = f"{self.install}, and name its interpreter in the setting {self.setting}" if self.install else ""
        return Bridge(python, f"_{self.metric}", opening, alone=self.alone, install=need)


INSPECT_AI = Tool(metric="inspect_ai", setting="inspect_python", example="FILE.py@name")
LM_EVAL = Tool(metric="lm_eval", setting="lm_eval_python", example="FILE.yaml")
FI = Tool(metric="fi", setting="fi_python", example="Groundedness")
RAGAS = Tool(
    metric="ragas",
    setting="ragas_python",
    example="faithfulness",
    # Later ones lack a module that it imports.
    install="'ragas>=0.4.3,<0.5' 'langchain-community<0.4.2'",
    # It opens addresses and files that contexts name.
    alone=True,
)


def by_task(task: str) -> Tool:
    """Whose task is written like `task`."""
    return LM_EVAL if task.endswith(".yaml") else INSPECT_AI


def judged(tool: Tool, opening: Mapping[str, Any], *, file: str, python: str, limit_s: float) -> Metric:
    """The scorer of a task as a metric, whose options its file adds.

    Raises:
        ValueError: if there is no such task.
    """
    if not file or not Path(file).is_file():
        raise ValueError(f"task is {opening['task']!r}, expected {tool.example}")
    if not limit_s > 0:
        raise ValueError(f"limit_s is {limit_s}, expected more than 0")

    def by(interpreter: str) -> Metric:
        start = partial(tool.bridge, interpreter, **opening)
        return Metric(
            unit="score",
            higher_is_better=True,
            score_many=lambda outputs, samples: scored(start, outputs, samples, limit_s=limit_s),
            check=partial(unfit, start),
            content=hashlib.sha256(Path(file).read_bytes()).hexdigest(),
        )

    return replace(by(python), settled=lambda settings: by(python or tool.python(settings)))


def unnamed(tool: Tool, options: Callable[..., Metric]) -> Metric:
    """The metric of `tool` as long as no task is named: it judges nothing."""
    return Metric(
        unit="score",
        higher_is_better=True,
        score_many=lambda outputs, _samples: [None] * len(outputs),
        check=lambda _samples: f"no task is named; write {tool.metric}?task={tool.example}",
        options=options,
    )
