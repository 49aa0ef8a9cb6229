"""Rubric, by a judge: how well the answer meets your criteria, as a share of the way from 1 to the top of the scale.

With the default scale, 1 of 5 is 0 and 5 of 5 is 1; a scale of 2 is no or yes. Where a sample has a reference, the
judge sees it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mlaas_lab.evaluation.judge import LONGEST_REASON, Judge, shown
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Score

PROMPT = """\
You grade an answer by these criteria, and by nothing else:

{{criteria}}

Give a whole number from 1, which meets none of them, to {{scale}}, which meets all of them fully, and say why in one \
sentence. If there is a reference, it is an answer that somebody hoped for."""
FORM = '{"why": "one sentence", "score": 1}'


def _scored(said: Mapping[str, Any], *, scale: int) -> Score:
    score: Any = said.get("score")
    if type(score) not in (int, float) or not 1 <= score <= scale or score != int(score):
        raise ValueError(f"the judge's score is no whole number from 1 to {scale}: {shown(said)}")
    reason = f"{int(score)} of {scale}: {shown(said.get('why') or 'no reason given')}"
    return Score(value=(score - 1) / (scale - 1), reason=reason[:LONGEST_REASON])


def _options(
    *, judge: str = "", criteria: str = "", scale: int = 5, times: int = 1, temperature: float = 0.0
) -> Metric:
    if not 2 <= scale <= 100:
        raise ValueError(f"scale is {scale}, expected 2 to 100")
    return Metric(
        unit="share",
        higher_is_better=True,
        judge=Judge(
            prompt=PROMPT,
            form=FORM,
            read=partial(_scored, scale=scale),
            shows=("question", "reference", "answer"),
            given={"criteria": criteria, "scale": str(scale)},
            target=judge,
            times=times,
            temperature=temperature,
        ),
        options=_options,
    )


metric = _options()
