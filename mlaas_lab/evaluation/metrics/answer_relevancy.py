"""Answer relevancy, by a judge: the share of the answer's statements that answer the question.

Right or wrong does not matter here, only whether it is to the point. An answer without a statement has no score.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.evaluation.judge import Judge, share
from mlaas_lab.evaluation.metrics import judged
from mlaas_lab.schema import Score

PROMPT = """\
You check whether an answer is to the point. Split the answer into its statements, each as one short sentence. Say of \
each whether it is relevant: true if it answers the question or is needed for that, false if it evades the question, \
repeats it, or speaks of something else. Whether a statement is right does not matter."""
FORM = '{"statements": [{"text": "a statement", "relevant": true}]}'


def _scored(said: Mapping[str, Any]) -> Score:
    return share(said, of="statements", that="relevant", empty="the answer states nothing")


metric = judged(Judge(prompt=PROMPT, form=FORM, read=_scored))
