"""A job in a notebook, alive: progress, what it found, the end of its log, and a button that stops it.

The kernel pushes what changed from a thread, so the page is right while a cell runs. The static card stays in the
output beside it and is drawn for the last time when the job ends.
"""

from typing import Any

import anywidget
import traitlets

from mlaas_lab.job import JobHandle
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.watched import Watched


class JobWidget(anywidget.AnyWidget):  # type: ignore[misc] # it is skipped, as its stubs name libraries we lack
    """The live view of one job."""

    _esm = flat.script("asking", "job")
    _css = flat.style("job")
    content = traitlets.Dict().tag(sync=True)
    """What never changes."""
    now = traitlets.Dict().tag(sync=True)
    """Where it stands."""
    found: Any = traitlets.List().tag(sync=True)
    """What it has found so far."""

    def __init__(self, handle: JobHandle) -> None:
        """It answers as long as the kernel lives; `follow` tells it to look."""
        self._watched = Watched(handle)
        super().__init__(content=self._watched.first, now=self._watched.now(), found=self._watched.found())
        self.on_msg(self._asked)

    def settle(self) -> None:
        """Nothing is left to send once it is displayed."""

    def follow(self) -> dict[str, Any]:
        """Look at the job, and send what changed; what that was."""
        now = self._watched.now()
        seen = {"now": now, "found": self._watched.found(last=bool(now["over"]))}
        changed = {name: value for name, value in seen.items() if value != getattr(self, name)}
        for name, value in changed.items():
            setattr(self, name, value)
        return changed

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return bool(self.now["over"])

    @property
    def told(self) -> tuple[str, ...]:
        """Its state, which the static card beside it must say too."""
        return tuple(self.now["state"])

    @property
    def steady(self) -> bool:
        """It serves, and goes on doing so."""
        return bool(self.now["ready"])

    def _asked(self, _widget: Any, message: object, _buffers: object) -> None:
        answer = self._watched.answer(message)
        if answer is not None:
            self.send(answer)
