"""Edit distance: characters to insert, delete or replace to get the reference, over the longer text's length.

Levenshtein (1966), by rapidfuzz. 0 is the reference itself, white space at the ends aside; 1 has nothing of it.
"""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample


def _score(output: str, sample: Sample) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_distance(output.strip(), (sample.reference or "").strip()))


metric = Metric(
    unit="share", higher_is_better=False, needs=frozenset({"reference"}), score=_score, libraries=("rapidfuzz",)
)
