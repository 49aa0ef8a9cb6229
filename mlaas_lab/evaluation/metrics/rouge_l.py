"""ROUGE-L: F1 of the longest common subsequence of words with the reference (Lin 2004, section 3.1, β = 1).

Words are those of any script, unstemmed; for English the numbers are those of the reference implementation.
"""

from collections.abc import Sequence

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.words import words
from mlaas_lab.schema import Sample


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, with a row of the table as the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    whole = (1 << len(a)) - 1
    row = whole
    for word in b:
        here = row & places.get(word, 0)
        row = ((row + here) | (row - here)) & whole
    return len(a) - row.bit_count()


def _score(output: str, sample: Sample) -> float:
    reference = sample.reference or ""
    got, want = words(output), words(reference)
    if not got or not want:
        return float(output.strip() == reference.strip())
    return 2 * longest_common(want, got) / (len(got) + len(want))


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
