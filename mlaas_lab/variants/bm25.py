"""BM25: how well each passage fits a question, by the words they share.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), equations 3.15 and 3.4, with the
inverse document frequency that is never negative: ln(1 + (N - n + 0.5) / (n + 0.5)). It knows texts and no files.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

K1, B = 1.2, 0.75
"""How soon a word that is repeated counts no more, and how much a long passage is marked down; usual values."""
EASTERN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{EASTERN}]|(?:(?![{EASTERN}])\w)+")
"""Letters and digits between others; scripts without spaces sign by sign."""

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def words(text: str) -> list[str]:
    """The words of `text`, without case."""
    return WORD.findall(text.casefold())


class Ranking:
    """An index over passages; of equal fit the earlier comes first."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Reads all of `texts` once."""
        counts = [Counter(words(text)) for text in texts]
        lengths = np.array([count.total() for count in counts], dtype=np.float64)  # (N,)
        longer = K1 * (1 - B + B * lengths / max(lengths.mean(), 1)) if texts else lengths  # (N,)
        places: dict[str, list[int]] = defaultdict(list)
        for place, count in enumerate(counts):
            for word in count:
                places[word].append(place)
        self._size = len(texts)
        self._weights: dict[str, tuple[Places, Floats]] = {}
        for word, at in places.items():
            frequency = np.array([counts[place][word] for place in at], dtype=np.float64)
            rarity = np.log1p((len(texts) - len(at) + 0.5) / (len(at) + 0.5))
            self._weights[word] = (np.array(at, dtype=np.int64), rarity * frequency / (frequency + longer[at]))

    def top(self, question: str, k: int) -> list[tuple[int, float]]:
        """The at most `k` passages that fit best, each with its score; one that shares no word is none of them."""
        scores = np.zeros(self._size)
        # Sums of floats depend on their order.
        for word in sorted(set(words(question)) & self._weights.keys()):
            at, weights = self._weights[word]
            scores[at] += weights
        least = np.partition(scores, self._size - k)[self._size - k] if k < self._size else 0.0
        fitting = np.flatnonzero((scores >= least) & (scores > 0))
        best = fitting[np.argsort(-scores[fitting], kind="stable")][:k]
        return [(int(place), float(scores[place])) for place in best]
