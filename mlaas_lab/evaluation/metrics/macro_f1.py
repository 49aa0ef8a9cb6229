"""Macro F1: the mean of each class's F1, so that a rare class counts as much as a frequent one.

F1 of a class is 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979); classes are the labels that references have (Opitz &
Burst 2019, their averaged F1). An answer that names none of them is a miss of its class and of no other. A record holds
1 where the label is right, and which label was taken for which.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from mlaas_lab.evaluation.labels import ARROW, label, labels_of, taken
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score, ScoreStatus

if TYPE_CHECKING:
    from mlaas_lab.stats.facts import Aggregate, Fact
    from mlaas_lab.stats.intervals import Floats


def _score(output: str, sample: Sample, known: Collection[str] = ()) -> Score:
    got, want = label(output), label(sample.reference or "")
    if known and want not in known:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"{want!r} is none of the labels"[:200])
    return Score(value=float(got == want), reason=taken(want, got))


def _aggregate(facts: "Sequence[Fact]") -> "Aggregate":
    """Of facts whose reasons are `reference → label`."""
    import numpy as np

    from mlaas_lab.stats.facts import Aggregate

    pairs = [fact.said.partition(ARROW) for fact in facts]
    references = sorted({want for want, _, _ in pairs})
    place = {name: at for at, name in enumerate(references)}
    # Each class once as right and once as wrong as can be, after the facts.
    want = np.array([place[name] for name, _, _ in pairs] + [at for at in place.values() for _ in (0, 1)])
    got = np.array([place.get(name, -1) for _, _, name in pairs] + [at for i in place.values() for at in (i, -1)])
    is_class = np.arange(len(references))[None, :]  # (1, classes)
    wanted, said = (want[:, None] == is_class).astype(float), (got[:, None] == is_class).astype(float)
    hits = wanted * said

    def of(table: "Floats") -> "Floats":
        f1 = 2 * (table @ hits) / (table @ (wanted + said))  # (draws, classes), NaN where a class is not there at all
        return np.asarray(np.nansum(f1, axis=1) / np.isfinite(f1).sum(axis=1))

    extremes = [(len(facts) + 2 * at, len(facts) + 2 * at + 1) for at in range(len(references))]
    return Aggregate(facts=len(want), of=of, extremes=extremes, trouble="there are no labels")


def _options(*, labels: str = "") -> Metric:
    known = labels_of(labels)
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score=lambda output, sample: _score(output, sample, known),
        aggregate=_aggregate,
    )


metric = Metric(
    unit="share",
    higher_is_better=True,
    needs=frozenset({"reference"}),
    score=_score,
    aggregate=_aggregate,
    options=_options,
)
