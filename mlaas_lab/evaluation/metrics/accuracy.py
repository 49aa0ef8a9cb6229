"""Accuracy of a classification: 1 when the label in the answer's first line is the reference's, else 0.

Labels are compared without case, quotes, Markdown and a full stop at the end; a space, a hyphen and an underscore are
alike. With the option `labels=yes/no`, an answer that is none of them is wrong and says so in its reason.
"""

from collections.abc import Collection

from mlaas_lab.evaluation.labels import LONGEST_SHOWN, label, labels_of
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score, ScoreStatus


def _score(output: str, sample: Sample, known: Collection[str] = ()) -> float | Score:
    got, want = label(output), label(sample.reference or "")
    if known and want not in known:
        reason = f"the reference {want[:LONGEST_SHOWN]!r} is none of the labels"
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=reason)
    if known and got not in known:
        return Score(value=0.0, reason=f"none of the labels: {got[:LONGEST_SHOWN]!r}")
    return float(got == want)


def _options(*, labels: str = "") -> Metric:
    known = labels_of(labels)
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score=lambda output, sample: _score(output, sample, known),
    )


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score, options=_options)
