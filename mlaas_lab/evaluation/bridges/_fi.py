"""Evaluations of FutureAGI's local engine (`fi.evals` of ai-evaluation), run by `_runner.py` where it is installed.

Names are theirs. Nothing leaves this machine: what only their cloud knows is refused. Some of theirs need a model that
judges entailment; where it is not installed they fall back to words, which their reason does not always say.
"""

import math
import re
from typing import Any

from fi.evals.core import evaluate
from fi.evals.local.registry import get_registry
from fi.evals.metrics.hallucination import nli

EMPTY = ("Empty response", "No context provided", "No verifiable claims")
"""Reasons of theirs for a number, 0 or 1, that is no judgement."""


class Task:
    """One evaluation by its name: `Groundedness`, or `groundedness`."""

    def __init__(self, task: str) -> None:
        """Their class names and their short names are one."""
        self._name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", task).lower()
        if not get_registry().is_registered(self._name):
            more = "; `injection` is a metric of ours" if "injection" in self._name else ""
            raise ValueError(f"the local engine of fi.evals has no {task!r}{more}")

    def score(self, output: str, question: str, contexts: list[str], reference: str | None) -> dict[str, Any]:
        """What they say of `output`."""
        if not output.strip():
            return {"value": None, "status": "not_applicable", "reason": "the answer is empty"}
        given: dict[str, Any] = {"output": output, "input": question, "query": question, "contexts": contexts}
        given |= {"context": contexts, "final_result": output, "task": {"description": question}}
        given |= {"trajectory": [{"step_number": 1, "action": "answer", "result": output, "is_final": True}]}
        if reference is not None:
            given |= {"reference": reference, "expected_response": reference, "expected_result": reference}
        said = evaluate(self._name, engine="local", **given)
        if said.status != "completed" or said.score is None or not math.isfinite(said.score):
            return {"value": None, "status": "judge_error", "reason": said.error or said.reason or "no score"}
        if any(words in said.reason for words in EMPTY):
            return {"value": None, "status": "not_applicable", "reason": said.reason}
        # It compares words where it could not load the model that it is meant to ask.
        by = "by words, without its entailment model: " if nli._nli_pipeline is False else ""  # noqa: SLF001
        return {"value": float(said.score), "status": "ok", "reason": f"{by}{said.reason}"[:300] or None}
