"""How every target does on each group of samples."""

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.view import View


def _build(cut: Cut) -> list[View]:
    return cut.drawn("slices")


page = Page(name="slices", title="Slices", build=_build)
