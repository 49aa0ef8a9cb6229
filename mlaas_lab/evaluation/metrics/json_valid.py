"""Valid JSON: 1 when the whole answer is one JSON value (RFC 8259), white space around it aside, else 0.

A Markdown fence around it counts as invalid: a program that reads the answer would fail on it too.
"""

import orjson

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample


def _score(output: str, _sample: Sample) -> float:
    try:
        orjson.loads(output)
    except orjson.JSONDecodeError:
        return 0.0
    return 1.0


metric = Metric(unit="share", higher_is_better=True, score=_score)
