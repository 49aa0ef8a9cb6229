"""How well each passage fits a question, by what both mean: the cosine of their sentence embeddings.

It finds what is said in other words, which counting shared words does not; names and numbers it sees less well.
"""

from collections.abc import Sequence

import numpy as np

from mlaas_lab import embeddings, registry


class Ranking:
    """An index over passages; of equal fit the earlier comes first."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Reads all of `texts` once.

        Raises:
            MissingExtra: if the model or what runs it is not installed.
        """
        try:
            self._folder = embeddings.own()
            self._vectors = embeddings.embedded(texts, self._folder)  # (N, D)
        except ModuleNotFoundError as error:
            raise registry.missing_extra((error.name or "").partition(".")[0]) from error

    def top(self, question: str, k: int) -> list[tuple[int, float]]:
        """The at most `k` passages that lie closest, each with its cosine; one at a right angle or beyond is none."""
        scores = self._vectors @ embeddings.embedded([question], self._folder)[0]  # (N,)
        best = np.argsort(-scores, kind="stable")[:k]
        return [(int(place), float(scores[place])) for place in best if scores[place] > 0]
