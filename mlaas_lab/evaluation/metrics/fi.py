"""An evaluation of FutureAGI's local engine by its name there, `fi?name=Groundedness` or `fi?name=TaskCompletion`.

It runs in the interpreter that `python=` or the setting `fi_python` names (package ai-evaluation), without a network
and without their cloud. PromptInjection is not in their local engine: `injection` is ours.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mlaas_lab.evaluation.bridges import scored, unready
from mlaas_lab.evaluation.bridges.tools import FI
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score

NEEDS = {
    "groundedness": "contexts",
    "faithfulness": "contexts",
    "ragfaithfulness": "contexts",
    "contextutilization": "contexts",
    "taskcompletion": "reference",
}
"""What evaluations of theirs, by their names as one word, give numbers without that say nothing."""


def _shown(output: str, sample: Sample) -> dict[str, Any]:
    asked = [message.content for message in sample.messages if message.role == "user"]
    question = asked[-1] if asked else ""
    return {"output": output, "question": question, "contexts": list(sample.contexts), "reference": sample.reference}


def _options(*, name: str = "", python: str = "", limit_s: float = 60.0) -> Metric:
    if not name:
        raise ValueError("no evaluation is named, expected fi?name=Groundedness")
    if not limit_s > 0:
        raise ValueError(f"limit_s is {limit_s}, expected more than 0")

    def by(interpreter: str) -> Metric:
        start = partial(FI.bridge, interpreter, task=name)

        def score_many(outputs: Sequence[str], samples: Sequence[Sample]) -> list[Score]:
            return scored(start, outputs, samples, limit_s=limit_s, show=_shown)

        return Metric(
            unit="score",
            higher_is_better=True,
            needs=frozenset({needed} if (needed := NEEDS.get(name.replace("_", "").lower())) else ()),
            score_many=score_many,
            check=lambda _samples: unready(start),
            options=_options,
        )

    return replace(by(python), settled=lambda settings: by(python or FI.python(settings)))


metric = Metric(
    unit="score",
    higher_is_better=True,
    score_many=lambda outputs, _samples: [None] * len(outputs),
    check=lambda _samples: "no evaluation is named; write fi?name=Groundedness",
    options=_options,
)
