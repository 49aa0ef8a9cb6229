"""Exact match: 1 when the answer is the reference, white space at the ends aside, else 0."""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample


def _score(output: str, sample: Sample) -> float:
    return float(output.strip() == (sample.reference or "").strip())


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
