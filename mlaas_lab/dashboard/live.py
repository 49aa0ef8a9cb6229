"""The live views of widgets, mounted in the dashboard's host: the same scripts, carried by another wire.

They use a model's get, set, on, off, save_changes and send alone, so a few lines are all that stands between.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import panel as pn
import param

from mlaas_lab.view.html import style
from mlaas_lab.view.markup import Markup
from mlaas_lab.widgets import flat

FOLDER = Path(__file__).parent
Answer = Callable[[object], Mapping[str, Any] | None]
"""A message from the page to what is sent back, if anything."""


def _hosted(script: str) -> str:
    """A widget's script as this host takes it."""
    return script.replace("export default ", "const shown = ", 1) + _text("hosted.js")


def _own(name: str) -> str:
    """A script of the dashboard's own, with what it draws with."""
    return _hosted(flat.script() + _text(f"{name}.js"))


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


class Mounted(pn.custom.JSComponent):  # type: ignore[misc] # its library is not typed
    """One live view; `answer` is its kernel's side."""

    content = param.Dict(default={})
    """What never changes."""

    _stylesheets: tuple[str, ...] = (flat.style("comparison"),)

    def __init__(self, answer: Answer, **state: Any) -> None:
        """`state` is what the view begins with."""
        self._answer = answer
        super().__init__(sizing_mode="stretch_width", margin=0, **state)

    def _handle_msg(self, data: Any) -> None:
        answer = self._answer(data)
        if answer is not None:
            self._send_msg(dict(answer))


class Comparing(Mounted):
    """A comparison."""

    opening = param.Dict(default={})
    place = param.Dict(default={})
    _esm = _hosted(flat.script("comparison"))


class Reviewing(Mounted):
    """A review."""

    now = param.Dict(default={})
    _esm = _hosted(flat.script("review"))
    _stylesheets = (flat.style("review"),)


class Asking(Mounted):
    """A form."""

    _esm = _own("form")
    _stylesheets = (flat.style("comparison"), _text("live.css"))


class Bar(Mounted):
    """Pages, filters, theme."""

    where = param.Dict(default={})
    """Where the reader is."""
    news = param.Dict(default={})
    """What came since, and whether to load the page anew."""
    _esm = _own("bar")
    _stylesheets = (flat.style("comparison"), _text("live.css"))


FIRM = style().replace(".mlaas ", ".mlaas.mlaas ")
"""The host has rules for tables and headings; ours must weigh more."""


def still(drawn: Markup) -> Any:
    """Views as they are in a notebook: the one place where markup is handed to the host; see `view.markup`."""
    look = [FIRM, _text("still.css")]
    return pn.pane.HTML(str(drawn), stylesheets=look, sizing_mode="stretch_width", margin=0)
