"""A form in a notebook, made from a task's options: it shows the line that does the same while one types."""

from typing import Any

import anywidget
import traitlets

from mlaas_lab.widgets import flat
from mlaas_lab.widgets.formed import Formed


class FormWidget(anywidget.AnyWidget):  # type: ignore[misc] # it is skipped, as its stubs name libraries we lack
    """The form of one task."""

    _esm = flat.script("form")
    _css = flat.style("form")
    content = traitlets.Dict().tag(sync=True)
    """What never changes."""
    typed = traitlets.Dict().tag(sync=True)
    """What is in the fields; the page writes it, so that it is there again when the page is loaded again."""

    def __init__(self, formed: Formed) -> None:
        """It answers as long as the kernel lives."""
        self._formed = formed
        super().__init__(content=formed.content, typed={})
        self.on_msg(self._asked)

    def settle(self) -> None:
        """Nothing is left to send once it is displayed."""

    def _asked(self, _widget: Any, message: object, _buffers: object) -> None:
        answer = self._formed.answer(message)
        if answer is not None:
            self.send(answer)
