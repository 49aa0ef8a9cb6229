"""A metric is a judged number: what it needs, which way is better, and a pure function. One file per metric.

The file's name is the metric's name; it exposes `metric`. The engine checks `needs` before it asks anybody, and turns
an exception into a status, never into 0. A metric knows no target, no record and no statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlaas_lab.schema import Sample, Score

ScoreOne = Callable[[str, Sample], float | Score]
ScoreMany = Callable[[Sequence[str], Sequence[Sample]], Sequence[float | Score | None]]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How good an answer is, as a number; either `score` or `score_many` is given."""

    unit: str
    """`share` for 0 to 1, else what the number counts."""
    higher_is_better: bool
    needs: frozenset[str] = frozenset()
    """Fields every sample must have: `reference`, `contexts`, `group`."""
    score: ScoreOne | None = None
    """One answer at a time, while others are still awaited: `score(output, sample)`; fast and pure."""
    score_many: ScoreMany | None = None
    """All answers at once, after the last call: `score_many(outputs, samples)`, one value each, None for no score."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.score_many is None):
            raise ValueError("a Metric gives either score or score_many")
