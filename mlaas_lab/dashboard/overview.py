"""What a reviewer reads first: who is better, at what cost and how fast, and how sure that is."""

from dataclasses import replace

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.panels.board import board
from mlaas_lab.panels.pareto import over
from mlaas_lab.view import View


def _build(cut: Cut) -> list[View]:
    summary, verdicts = cut.scores
    if not summary:
        return [View(title="", summary="Nobody scored these records; latency and cost have pages of their own.")]
    scores = board(summary, verdicts)
    said = View(title="", summary=scores.summary, notes=cut.case.notes)
    return [said, *cut.labelled([*over(cut.frame, summary, verdicts), replace(scores, summary="")])]


page = Page(name="overview", title="Overview", build=_build)
