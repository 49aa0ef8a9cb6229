"""A page: its name in the address, its title, and the Views it has of what the filters leave.

Pages do not know each other, and none knows a server.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlaas_lab import registry
from mlaas_lab.dashboard.case import Cut
from mlaas_lab.evaluation.sharing import sharing
from mlaas_lab.view import View
from mlaas_lab.view.html import body
from mlaas_lab.view.markup import Markup, element

NAMES = ("overview", "comparison", "slices", "latency", "cost", "review", "provenance", "decision")
"""Pages, in their order; the file of each has its name."""
EMPTY = {
    "slices": "These samples have no groups; `eval --group COLUMN` names the column that tells them.",
    "latency": "These records say nothing of time.",
    "cost": "These records say nothing of money.",
    "comparison": "There is nothing to compare.",
}
"""What is said where there is nothing to show."""
NONE_LEFT = "No record is left by these filters."


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page."""

    name: str
    title: str
    build: Callable[[Cut], Sequence[View]]
    alive: bool = False
    """What it shows may change while nobody touches a filter: it is built anew each time."""

    def views(self, cut: Cut) -> list[View]:
        """What it has, worked out once for each choice of filters; never empty."""
        if self.alive:
            return self._built(cut)
        found: list[View] = cut.once(self.name, lambda: self._built(cut))
        return found

    def drawn(self, cut: Cut) -> Markup:
        """The same as markup, in which all text is text."""
        if self.alive:
            return drawn(self.views(cut))
        found: Markup = cut.once(f"{self.name} drawn", lambda: drawn(self.views(cut)))
        return found

    def _built(self, cut: Cut) -> list[View]:
        if cut.frame.is_empty():
            return [View(title="", summary=NONE_LEFT)]
        with sharing():
            return list(self.build(cut)) or [View(title="", summary=EMPTY.get(self.name, "There is nothing to show."))]


def drawn(views: Sequence[View]) -> Markup:
    """Views as they are in a notebook."""
    return element("div", *(body(view) for view in views), class_="mlaas")


def pages() -> dict[str, Page]:
    """Every page by its name, in their order."""
    return {name: registry.resolve(f"{__package__}.{name}:page") for name in NAMES}
