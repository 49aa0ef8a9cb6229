"""Many jobs in a notebook, alive: sorted and filtered by the page, also while a cell runs, and stopped from there.

The newest table of a kernel is the one that is kept up to date. The static one stays in the output beside it.
"""

from typing import Any, ClassVar

import anywidget
import traitlets

from mlaas_lab.widgets import flat
from mlaas_lab.widgets.tabled import Looked, Tabled


class JobsWidget(anywidget.AnyWidget):  # type: ignore[misc] # it is skipped, as its stubs name libraries we lack
    """The live view of many jobs."""

    _esm = flat.script("asking", "jobs")
    _css = flat.style("jobs")
    content = traitlets.Dict().tag(sync=True)
    """What never changes."""
    rows = traitlets.Bytes().tag(sync=True)
    """All of them, as JSON."""
    changed = traitlets.Dict().tag(sync=True)
    """Rows by id as they are now, where they differ from `rows`; None is gone."""

    newest: ClassVar["JobsWidget | None"] = None
    told: tuple[str, ...] = ()
    """The static table beside it is drawn once."""
    steady: bool = True

    def __init__(self, looked: Looked) -> None:
        """It answers as long as the kernel lives; `follow` tells it to look."""
        self._tabled = Tabled(looked)
        super().__init__(content=self._tabled.first, rows=self._tabled.rows, changed={})
        self.on_msg(self._asked)
        JobsWidget.newest = self

    def settle(self) -> None:
        """Nothing is left to send once it is displayed."""

    @property
    def over(self) -> bool:
        """Another table has taken its place."""
        return JobsWidget.newest is not self

    def follow(self) -> dict[str, Any]:
        """Look at the jobs, and send what changed; what that was."""
        if self._tabled.look():
            self.rows, self.changed = self._tabled.rows, {}
            return {"rows": len(self.rows) * " "}
        if self._tabled.changed == self.changed:
            return {}
        self.changed = dict(self._tabled.changed)
        return {"changed": self.changed}

    def _asked(self, _widget: Any, message: object, _buffers: object) -> None:
        answer = self._tabled.answer(message)
        if answer is not None:
            self.send(answer)
