"""Tool call: 1 when the first tool call in the answer is of the function that the reference calls, else 0.

The reference is a JSON object `{"name": …, "arguments": {…}}`. What the function is called with is the business of
`tool_arguments`.
"""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.tool_calls import call_in, expected
from mlaas_lab.schema import Sample, Score, ScoreStatus


def _score(output: str, sample: Sample) -> Score:
    try:
        want = expected(sample.reference or "")
    except ValueError as error:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=str(error))
    got = call_in(output)
    if got is None:
        return Score(value=0.0, reason="the answer calls nothing")
    right = got.name == want.name
    return Score(value=float(right), reason=None if right else f"called {got.name[:80]!r}")


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
