"""Faithfulness, by a judge: the share of the answer's claims that its contexts support.

The judge lists the claims and says of each whether it follows from the contexts (as Es et al. 2024, "RAGAS"); the share
is counted here. An answer without a claim has no score.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.evaluation.judge import Judge, share
from mlaas_lab.evaluation.metrics import judged
from mlaas_lab.schema import Score

PROMPT = """\
You check whether an answer keeps to its sources. List every claim of fact that the answer makes, each as one short \
sentence that stands for itself. Say of each whether the contexts support it: true only if it follows from them, false \
if they deny it or do not say it, whatever you know yourself. An answer that claims nothing has an empty list."""
FORM = '{"claims": [{"text": "a claim", "supported": true}]}'


def _scored(said: Mapping[str, Any]) -> Score:
    return share(said, of="claims", that="supported", empty="the answer makes no claim")


metric = judged(
    Judge(prompt=PROMPT, form=FORM, read=_scored, shows=("question", "contexts", "answer")),
    needs=frozenset({"contexts"}),
)
