"""How long answers took, what limited them, and what failed."""

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.view import View


def _build(cut: Cut) -> list[View]:
    return [*cut.drawn("latency", "load", "rate_limits"), *cut.drawn("errors")]


page = Page(name="latency", title="Latency", build=_build)
