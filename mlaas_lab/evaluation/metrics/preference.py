"""Preference, by a judge: 1 when the answer is better than the first target's, 0 when that one is, 0.5 for a tie.

Both orders are asked, since judges lean to a place (Zheng et al. 2023, section 3.3): a verdict that changes with the
order is a tie. The first target itself has 0.5 wherever it answered.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.evaluation.judge import Judge, shown
from mlaas_lab.evaluation.metrics import judged
from mlaas_lab.schema import Score

PROMPT = """\
You compare two answers to the same question, named first and second. Say which one serves who asked better: is it \
right, does it do what was asked, is it clear? Length, tone and place do not count by themselves. If neither is \
better, say tie."""
FORM = '{"why": "one sentence", "better": "first"}  (or "second", or "tie")'
SHARES = {"first": 1.0, "second": 0.0, "tie": 0.5}
"""Of the answer that stands first."""


def _scored(said: Mapping[str, Any]) -> Score:
    better = said.get("better")
    if not isinstance(better, str) or better not in SHARES:
        raise ValueError(f"the judge's 'better' is not first, second or tie: {shown(said)}")
    return Score(value=SHARES[better], reason=shown(said.get("why") or "no reason given"))


metric = judged(Judge(prompt=PROMPT, form=FORM, read=_scored, shows=("question", "first", "second")))
