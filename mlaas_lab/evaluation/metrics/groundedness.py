"""Groundedness by words: the share of the answer's sentences that its contexts support.

A sentence is supported when at least `threshold` of its content words stand in the contexts (knowledge precision of
Adlakha et al. 2024, by sentence), and all its figures do. It sees words and not meaning: what denies a context in its
own words passes, what says the same in other words does not.
"""

import re

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.words import SIGNS, words
from mlaas_lab.schema import Sample, Score, ScoreStatus

_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SIGN = re.compile(f"[{SIGNS}]")
SHORT = 3
"""Letters of a word that mostly has no content: the, und, les."""


def _figures(found: set[str]) -> set[str]:
    return {word for word in found if any(sign.isdigit() for sign in word)}


def _content(sentence: str) -> set[str]:
    """The words of a sentence that say something; all of them if none does."""
    found = set(words(sentence))
    return {word for word in found if len(word) > SHORT or _SIGN.match(word)} | _figures(found) or found


def _supported(said: set[str], known: set[str], threshold: float) -> bool:
    return _figures(said) <= known and len(said & known) >= threshold * len(said)


def _scored(output: str, sample: Sample, threshold: float) -> Score:
    known = {word for context in sample.contexts for word in words(context)}
    sentences = [(text.strip(), said) for text in _END.split(output) if (said := _content(text))]
    if not known or not sentences:
        lacking = "the answer has no words" if known else "there are no contexts with words"
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=lacking)
    loose = [text for text, said in sentences if not _supported(said, known, threshold)]
    reason = f"not in the contexts: {loose[0]}"[:200] if loose else None
    return Score(value=1 - len(loose) / len(sentences), reason=reason)


def _options(*, threshold: float = 0.6) -> Metric:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}, expected more than 0 and at most 1")
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"contexts"}),
        score=lambda output, sample: _scored(output, sample, threshold),
        options=_options,
    )


metric = _options()
