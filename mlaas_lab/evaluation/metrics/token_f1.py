"""Token F1: harmonic mean of token precision and recall against the reference (Rajpurkar et al. 2016, section 6.1).

Tokens as in SQuAD's own script: lower case, no punctuation, no English articles. Unlike there, a text of nothing but
articles keeps them: the reference may be the letter A.
"""

import string
from collections import Counter

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample

_ARTICLES = {"a", "an", "the"}
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def tokens(text: str) -> list[str]:
    """The words that count."""
    words = text.lower().translate(_PUNCTUATION).split()
    return [word for word in words if word not in _ARTICLES] or words


def _score(output: str, sample: Sample) -> float:
    reference = sample.reference or ""
    got, want = tokens(output), tokens(reference)
    if not got or not want:
        return float(output.strip() == reference.strip())
    shared = (Counter(got) & Counter(want)).total()
    return 2 * shared / (len(got) + len(want))


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
