"""Arguments of a tool call: those that agree with the reference's, as a share of all that either of them has.

The reference is a JSON object `{"name": …, "arguments": {…}}`. Values are compared as JSON: 1 is 1.0 and not "1". A
call of another function, or none, has 0; two calls without arguments have 1.
"""

from collections.abc import Mapping

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.tool_calls import call_in, expected, same
from mlaas_lab.schema import JSON, Sample, Score, ScoreStatus


def _score(output: str, sample: Sample) -> Score:
    try:
        want = expected(sample.reference or "")
    except ValueError as error:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=str(error))
    got = call_in(output)
    if got is None:
        return Score(value=0.0, reason="the answer calls nothing")
    if got.name != want.name:
        return Score(value=0.0, reason=f"called {got.name[:80]!r}")
    names = got.arguments.keys() | want.arguments.keys()
    wrong = sorted(name for name in names if not _agree(name, got.arguments, want.arguments))
    value = 1 - len(wrong) / len(names) if names else 1.0
    return Score(value=value, reason=f"differs: {', '.join(wrong)}"[:200] if wrong else None)


def _agree(name: str, got: Mapping[str, JSON], want: Mapping[str, JSON]) -> bool:
    return name in got and name in want and same(got[name], want[name])


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score)
