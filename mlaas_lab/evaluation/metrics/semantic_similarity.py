"""Semantic similarity: cosine of the answer's and the reference's sentence embeddings; 1 says the same, 0 is unrelated.

By all-MiniLM-L6-v2 (384 dimensions, English) from the package that carries it, or by another `model=FOLDER` of
sentence-transformers' kind; nothing is downloaded. It reads the first 256 tokens. It sees topics better than truth:
what denies a reference in its own words lies close to it. An empty answer has 0.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlaas_lab import embeddings
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score

LIBRARIES = ("transformers", "torch", "tokenizers")
EMPTY = "the answer is empty"


def _scores(outputs: Sequence[str], samples: Sequence[Sample], model: Path | None = None) -> list[Score]:
    given = [output.strip() for output in outputs]
    wanted = [(sample.reference or "").strip() for sample in samples]
    both = [i for i, pair in enumerate(zip(given, wanted, strict=True)) if all(pair)]
    folder = embeddings.own() if model is None else model
    vectors = embeddings.embedded([given[i] for i in both] + [wanted[i] for i in both], folder)
    first, second = vectors[: len(both)], vectors[len(both) :]
    near = dict(zip(both, (first * second).sum(axis=1).clip(-1, 1).tolist(), strict=True)) if both else {}
    return [
        Score(value=round(near[i], 6))
        if i in near
        else Score(value=float(not given[i] and not wanted[i]), reason=EMPTY)
        for i in range(len(given))
    ]


def _options(*, model: str = "") -> Metric:
    folder = embeddings.checked(Path(model)) if model else None
    return Metric(
        unit="cosine",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score_many=partial(_scores, model=folder),
        options=_options,
        libraries=LIBRARIES if folder else (embeddings.PACKAGE, *LIBRARIES),
        content=embeddings.digest(folder) if folder else "",
    )


metric = _options()
