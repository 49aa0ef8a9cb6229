"""chrF of one answer: F2 over character 1- to 6-grams against the reference, spaces aside (Popović 2015).

As sacrebleu scores a sentence; its points are a share here. It needs no words, so it serves every script.
`word_order=2` counts words and pairs of words too, which is chrF++ (Popović 2017).
"""

from functools import cache
from typing import Any

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample

MOST_WORDS = 4


@cache
def _scorer(word_order: int) -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=word_order)


def _scored(output: str, sample: Sample, word_order: int) -> float:
    got, want = output.strip(), (sample.reference or "").strip()
    if got == want:
        return 1.0
    return min(1.0, float(_scorer(word_order).sentence_score(got, [want]).score) / 100)


def _options(*, word_order: int = 0) -> Metric:
    if not 0 <= word_order <= MOST_WORDS:
        raise ValueError(f"word_order is {word_order}, expected 0 to {MOST_WORDS}")
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score=lambda output, sample: _scored(output, sample, word_order),
        options=_options,
        libraries=("sacrebleu",),
    )


metric = _options()
