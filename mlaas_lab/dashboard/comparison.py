"""Every score with the answers behind it; without a server, the answers that differ most."""

from mlaas_lab import panels
from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.panels._picking import Pick
from mlaas_lab.panels.board import board
from mlaas_lab.panels.outputs import NEEDS, shown
from mlaas_lab.view import View
from mlaas_lab.view.formats import count
from mlaas_lab.widgets.kernel import Compared, Kernel

SAMPLES = 10
"""Side by side, where nobody can turn pages."""


def _found(cut: Cut) -> list[View]:
    """What stands beside the answers."""
    summary, verdicts = cut.scores
    scores = cut.labelled([board(summary, verdicts)]) if summary else []
    return [*scores, *cut.drawn("confusion", "unscored", "errors", "judges")]


def _build(cut: Cut) -> list[View]:
    found = cut.drawn("confusion", "unscored", "judges")
    if not set(cut.frame.columns) >= NEEDS:
        return found
    apart = shown(cut.frame, pick=Pick.DISAGREEMENTS, samples=SAMPLES)
    answers = apart if apart is not None and apart.marks else shown(cut.frame, samples=SAMPLES)
    return [*found, *([] if answers is None else [panels.labelled(answers, cut.frame)])]


def kernel(cut: Cut) -> Kernel:
    """Answers for the live comparison of these records; it keeps nothing of who asks."""
    found: Kernel = cut.once("kernel", lambda: _kernel(cut))
    return found


def _kernel(cut: Cut) -> Kernel:
    case = cut.case
    return Kernel(
        Compared(
            title="Comparison",
            frame=cut.frame,
            views=_found(cut),
            words=case.words,
            facts=[f"{count(len(cut.frame))} records", *case.notes],
            links=case.links,
        )
    )


page = Page(name="comparison", title="Comparison", build=_build)
