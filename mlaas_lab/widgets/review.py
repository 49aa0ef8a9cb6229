"""A live review in a notebook or on a page: two answers side by side, judged by keyboard.

State is two traits, so a page that is loaded again stands where it stood; what was said is in the review's file before
it is shown as said, so a kernel that is gone loses nothing.
"""

from typing import Any

import anywidget
import traitlets

from mlaas_lab.view import to_html, to_text
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.reviewed import Reviewed

NOTEBOOK_WIDTH = 100


class ReviewWidget(anywidget.AnyWidget):  # type: ignore[misc] # it is skipped, as its stubs name libraries we lack
    """The live view of one reviewer's review."""

    _esm = flat.script("review")
    _css = flat.style("review")
    content = traitlets.Dict().tag(sync=True)
    """What never changes."""
    now = traitlets.Dict().tag(sync=True)
    """Where the reviewer stands."""

    def __init__(self, reviewed: Reviewed) -> None:
        """It answers as long as the kernel lives."""
        self._reviewed = reviewed
        reviewed.sitting.see(reviewed.sitting.at)
        super().__init__(content=reviewed.content, now=reviewed.now())
        self.on_msg(self._asked)

    def settle(self) -> None:
        """Nothing is left to send once it is displayed."""

    def _asked(self, _widget: Any, message: object, _buffers: object) -> None:
        answer = self._reviewed.answer(message)
        if answer is None:
            return
        if answer["kind"] == "now":
            # Another page that shows it follows, and one that is loaded again begins here.
            self.now = {**answer["now"], "said": ""}
        self.send(answer)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        data, metadata = found if isinstance(found, tuple) else (found, {})
        still = self._reviewed.still()
        return {
            **(data or {}),
            "text/plain": to_text(still, width=NOTEBOOK_WIDTH),
            "text/html": to_html(still),
        }, metadata
