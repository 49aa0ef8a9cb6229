"""The scorer of an Inspect AI task, `inspect_ai?task=FILE.py@name`, on that task's own samples.

`data import FILE.py@name` writes those. The scorer runs in the interpreter that `python=` or the setting
`inspect_python` names, without a network: one that asks a model of its own has no score. C, P and I are 1, 0.5 and 0.
"""

from dataclasses import replace

from mlaas_lab.evaluation.bridges.tools import INSPECT_AI, judged, unnamed
from mlaas_lab.evaluation.metrics import Metric


def _options(*, task: str = "", scorer: int = 0, value: str = "", python: str = "", limit_s: float = 60.0) -> Metric:
    opening = {"task": task, "scorer": scorer, "value": value}
    made = judged(INSPECT_AI, opening, file=task.rpartition("@")[0], python=python, limit_s=limit_s)
    return replace(made, options=_options)


metric = unnamed(INSPECT_AI, _options)
