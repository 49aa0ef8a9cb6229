"""Contains: 1 when the reference stands somewhere in the answer, upper and lower case alike, else 0."""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample


def _score(output: str, sample: Sample) -> float:
    return float((sample.reference or "").strip().casefold() in output.casefold())


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
