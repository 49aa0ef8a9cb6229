"""Task completion, by a judge: the share of what the question asks for that the answer does.

Where a sample has a reference, the judge sees it. A question that asks for nothing has no score.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.evaluation.judge import Judge, share
from mlaas_lab.evaluation.metrics import judged
from mlaas_lab.schema import Score

PROMPT = """\
You check whether an answer does what was asked. List everything that the question asks for, each as one short \
requirement that can be checked. Say of each whether the answer has done it, fully and correctly: an answer that only \
promises, asks back or refuses has not. If there is a reference, it is an answer that does all of it; another answer \
may do it in other words."""
FORM = '{"requirements": [{"text": "a requirement", "done": true}]}'


def _scored(said: Mapping[str, Any]) -> Score:
    return share(said, of="requirements", that="done", empty="the question asks for nothing")


metric = judged(Judge(prompt=PROMPT, form=FORM, read=_scored, shows=("question", "reference", "answer")))
