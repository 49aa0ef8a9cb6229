"""The score of an lm-evaluation-harness task, `lm_eval?task=FILE.yaml`, on that task's own samples.

`data import FILE.yaml` writes those. The task runs in the interpreter that `python=` or the setting `lm_eval_python`
names, without a network, so its data lies beside it. An answer is cut and filtered as the harness does it; `value=` and
`filtered=` choose where a task has several.
"""

from dataclasses import replace

from mlaas_lab.evaluation.bridges.tools import LM_EVAL, judged, unnamed
from mlaas_lab.evaluation.metrics import Metric


def _options(*, task: str = "", value: str = "", filtered: str = "", python: str = "", limit_s: float = 60.0) -> Metric:
    opening = {"task": task, "value": value, "filtered": filtered}
    return replace(judged(LM_EVAL, opening, file=task, python=python, limit_s=limit_s), options=_options)


metric = unnamed(LM_EVAL, _options)
