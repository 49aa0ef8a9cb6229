"""What the calls cost, for each answer and each right one."""

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.view import View


def _build(cut: Cut) -> list[View]:
    return cut.drawn("cost", "success", "judges")


page = Page(name="cost", title="Cost", build=_build)
