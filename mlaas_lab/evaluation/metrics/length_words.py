"""Length of the answer in words, of Chinese and Japanese in signs; neither longer nor shorter is better."""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.words import words
from mlaas_lab.schema import Sample


def _score(output: str, _sample: Sample) -> float:
    return float(len(words(output)))


metric = Metric(unit="words", higher_is_better=None, score=_score)
