"""BLEU of one answer: precision of word 1- to 4-grams against the reference, short answers held back (Papineni 2002).

As sacrebleu scores a sentence (Post 2018): exponential smoothing, orders that a short text cannot have left out. Its
points are a share here, 34.2 is 34.2 %. The mean over samples is not BLEU of the corpus, which is one ratio over all.
"""

from functools import cache
from typing import Any

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample

TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""How words are found: as in the WMT's own script, by Unicode, Chinese by sign, all by sign, at spaces."""


@cache
def _scorer(tokenize: str) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, effective_order=True)


def _scored(output: str, sample: Sample, tokenize: str) -> float:
    got, want = output.strip(), (sample.reference or "").strip()
    if got == want:
        return 1.0
    return min(1.0, float(_scorer(tokenize).sentence_score(got, [want]).score) / 100)


def _options(*, tokenize: str = "13a") -> Metric:
    if tokenize not in TOKENIZERS:
        raise ValueError(f"tokenize is {tokenize!r}, expected one of {', '.join(TOKENIZERS)}")
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score=lambda output, sample: _scored(output, sample, tokenize),
        options=_options,
        libraries=("sacrebleu",),
    )


metric = _options()
