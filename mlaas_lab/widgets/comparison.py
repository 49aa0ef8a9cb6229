"""A comparison in a notebook: scores, verdicts, cost and latency, and behind every number the answers it stands on.

State is two traits; rows come in pages by message, so what a notebook keeps does not grow with the records. Without a
kernel it shows what it began with, and the static View stays in the output beside it.
"""

from typing import Any

import anywidget
import traitlets

from mlaas_lab import panels, records
from mlaas_lab.evaluation.summary import Summary, told_apart
from mlaas_lab.panels.board import board
from mlaas_lab.schema import Decision, Job, Verdict
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.view import View, to_html, to_text
from mlaas_lab.view.formats import count, duration
from mlaas_lab.view.job import title, took_s
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.kernel import Compared, Kernel
from mlaas_lab.widgets.links import links

NOTEBOOK_WIDTH = 100


class ComparisonWidget(anywidget.AnyWidget):  # type: ignore[misc] # it is skipped, as its stubs name libraries we lack
    """The live view of one comparison."""

    _esm = flat.script("comparison")
    _css = flat.style("comparison")
    content = traitlets.Dict().tag(sync=True)
    """What is shown before anything is asked."""
    opening = traitlets.Dict().tag(sync=True)
    """The first answers; they come after the rest, which need not wait for them."""
    place = traitlets.Dict().tag(sync=True)
    """Where the reader is; the page writes it, nothing here reads it."""

    def __init__(self, compared: Compared) -> None:
        """It answers as long as the kernel lives."""
        self._kernel = Kernel(compared)
        super().__init__(content=self._kernel.first)
        self.on_msg(self._asked)

    def settle(self) -> None:
        """Send what nobody had to wait for; called once it is displayed."""
        self.opening = self._kernel.opening

    def _asked(self, _widget: Any, message: object, _buffers: object) -> None:
        answer = self._kernel.answer(message)
        if answer is not None:
            self.send(answer)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        data, metadata = found if isinstance(found, tuple) else (found, {})
        told = self._kernel.compared
        still = View(title=told.title, children=told.views)
        return {
            **(data or {}),
            "text/plain": to_text(still, width=NOTEBOOK_WIDTH),
            "text/html": to_html(still),
        }, metadata


def evaluated(job: Job) -> ComparisonWidget | None:
    """The live view of an evaluation, from its folder; None if it left no records."""
    folder = JobFolder(job.folder)
    result = (read_json(folder.outcome) or {}).get("result", {})
    if not folder.records.exists() or "summary" not in result:
        return None
    frame = told_apart(records.read(folder.records))
    summary = [Summary(**row) for row in result["summary"]]
    verdicts = [Verdict(**{**row, "verdict": Decision(row["verdict"])}) for row in result["verdicts"]]
    return ComparisonWidget(
        Compared(
            title=title(job),
            frame=frame,
            views=[panels.labelled(board(summary, verdicts), frame), *panels.draw(frame, without=("board", "outputs"))],
            words=["compare", job.id],
            facts=[str(job.state), f"{count(len(frame))} records", f"took {duration(took_s(job))}"],
            links=links([job]),
        )
    )
