"""Where growing results are shown while one waits: a terminal's line, a notebook's output.

Both redraw at most four times a second and only what changed; the last state is always drawn. All outputs of a kernel
share one pace, so that many jobs, or one with a large card, do not flood the browser.
"""

import json
import keyword
import shutil
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Keep
from mlaas_lab.schema import JSON
from mlaas_lab.view import Shown
from mlaas_lab.view.markup import visible

EVERY_S = 0.25
QUIET_EVERY_S = 5.0
"""Where lines cannot be drawn over (a log file), one is written this often."""

STEADY_EVERY_S = 1.0
"""So often a server that runs is looked at."""
STILL_EVERY_S = 10.0
"""What a notebook's file says of a job beside its live view is at most so old."""

SEEN_S = 0.4
"""A page takes about so long to draw a live view, and half as long again if a heavy output comes meanwhile."""
HEAVY = 20_000
"""Characters."""

MESSAGES_PER_S = 40
BYTES_PER_S = 80_000
"""One drawing weighs at most 120 kB, so that no second sees more than 200 kB."""


class Pace:
    """How often a kernel may send drawings; a large one is followed by a longer pause."""

    def __init__(self) -> None:
        """The first may go at once."""
        self._turn = threading.Lock()
        self._next_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether a drawing may be sent now."""
        return time.monotonic() >= self._next_at

    def sent(self, data: dict[str, str]) -> float:
        """Put off the next drawing by what this one weighs; when its own turn is, by the monotonic clock."""
        size = sum(len(text.encode()) for text in data.values())
        with self._turn:
            mine = max(self._next_at, time.monotonic())
            self._next_at = mine + max(1 / MESSAGES_PER_S, size / BYTES_PER_S)
        return mine

    def wait(self, data: dict[str, str]) -> None:
        """Take a turn, and return when it has come."""
        time.sleep(max(0.0, self.sent(data) - time.monotonic()))


PACE = Pace()


class Terminal:
    """One line that is drawn over; in a file, a line now and then."""

    def __init__(self, out: TextIO) -> None:
        """`out` is standard error: standard output belongs to the result."""
        self._out = out
        self._tty = out.isatty()
        self._drawn_at = 0.0
        self._last = ""

    def live(self, shown: Shown) -> None:
        """Draw where `shown` stands."""
        every_s = EVERY_S if self._tty else QUIET_EVERY_S
        now = time.monotonic()
        if now - self._drawn_at < every_s:
            return
        line = visible(" ".join(shown.line().split()))
        if line == self._last:
            return
        self._drawn_at, self._last = now, line
        if self._tty:
            room = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\x1b[K{line[:room]}")
        else:
            self._out.write(f"{line}\n")
        self._out.flush()

    def finish(self, _shown: Shown | None = None) -> None:
        """Leave the line, so that the result starts on its own."""
        if self._tty and self._last:
            self._out.write("\r\x1b[K")
            self._out.flush()


class Notebook:
    """One output of the running cell, updated in place."""

    def __init__(self) -> None:
        """Nothing is shown before the first `live`."""
        self._handle: Any = None
        self._drawn_at = 0.0

    def live(self, shown: Shown) -> None:
        """Show or update `shown`."""
        from IPython.display import display

        now = time.monotonic()
        if now - self._drawn_at < EVERY_S or not PACE.ready:
            return
        self._drawn_at = now
        data = shown._repr_mimebundle_()
        PACE.sent(data)
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def finish(self, shown: Shown | None) -> None:
        """Draw the final state where the growing one was; it is not shown a second time as the cell's result."""
        if self._handle is not None and shown is not None:
            live = _live(shown)
            data = _still(shown, beside=live)
            PACE.wait(data)
            self._handle.update(data, raw=True)
            _show_live(live)
            _settle(live)
            _keep_up(shown, self._handle, live)
            shown.drawn = True


def show(shown: Any) -> None:
    """Show a result in a notebook: a job that runs stays up to date, what was drawn already is left alone.

    What has a live view gets it as an output of its own, which is seen at once; the static one after it is what the
    notebook's file, a page without a kernel and an export show, and hides while the live one works.
    """
    from IPython.display import display

    if shown.drawn:
        shown.drawn = False
        return
    live = _live(shown)
    _show_live(live)
    seen_at = time.monotonic() + SEEN_S
    data = _still(shown, beside=live)
    if live is not None and sum(map(len, data.values())) >= HEAVY:
        time.sleep(max(0.0, seen_at - time.monotonic()))
    PACE.sent(data)
    handle = display(data, raw=True, display_id=True)
    _settle(live)
    _keep_up(shown, handle, live)


def _live(shown: Any) -> Any | None:
    from mlaas_lab import widgets

    return widgets.of(shown) if in_notebook() else None


def _still(shown: Any, *, beside: Any | None) -> dict[str, str]:
    data: dict[str, str] = shown._repr_mimebundle_()
    return data if beside is None else {**data, "text/html": f'<div class="mlaas-still">{data["text/html"]}</div>'}


def _show_live(live: Any | None) -> None:
    from IPython.display import display

    if live is not None:
        view = {"version_major": 2, "version_minor": 0, "model_id": live.model_id}
        words = f"{live.content['title']}: the live view needs a kernel; run the cell again."
        display({"application/vnd.jupyter.widget-view+json": view, "text/plain": words}, raw=True)


def _keep_up(shown: Any, handle: Any, live: Any | None) -> None:
    """Keep a job up to date from a thread until nothing more happens; the kernel stays free.

    Updates find their output by its id, so they never land in another cell.
    """
    if hasattr(live, "follow"):
        work = partial(_keep_live, shown, handle, live)
    elif not getattr(shown, "settled", True):
        work = partial(_keep, shown, handle)
    else:
        return
    threading.Thread(target=work, name=f"mlaas-follow-{getattr(shown, 'id', 'jobs')}", daemon=True).start()


def _keep(shown: Any, handle: Any) -> None:
    last = None
    while True:
        done = shown.settled
        now = shown._repr_mimebundle_()
        if now != last:
            PACE.wait(now)
            handle.update(now, raw=True)
            last = now
        if done:
            return
        time.sleep(EVERY_S * 2)


def _keep_live(shown: Any, handle: Any, live: Any) -> None:
    """The static card beside a live one is for the notebook's file: drawn when its state changes, and now and then."""
    told, drawn_at = live.told, time.monotonic()
    while True:
        PACE.wait({name: json.dumps(value) for name, value in live.follow().items()})
        late = not live.steady and time.monotonic() - drawn_at >= STILL_EVERY_S
        if live.told != told or live.over or late:
            data = _still(shown, beside=live)
            PACE.wait(data)
            handle.update(data, raw=True)
            told, drawn_at = live.told, time.monotonic()
        if live.over:
            return
        time.sleep(STEADY_EVERY_S if live.steady else EVERY_S)


def _settle(live: Any | None) -> None:
    if live is not None:
        live.settle()


def variables(names: MutableMapping[str, Any]) -> Callable[[str], Keep]:
    """Keeps what `-o NAME` names as a variable among `names`."""

    def keeper(name: str) -> Keep:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(f"-o {name!r} is no name of a variable.", next="In the shell -o names a file.")

        def keep(value: object, _data: JSON) -> None:
            names[name] = value

        return keep

    return keeper


def json_file(name: str) -> Keep:
    """Keeps what `-o NAME` names as a JSON file, in place of what is there."""
    path = Path(name).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"-o {name!r} is no file that can be written.", next="Name one in a folder that exists.")

    def keep(_value: object, data: JSON) -> str | None:
        try:
            path.write_text(json.dumps(data, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            return f"{name} could not be written: {(error.strerror or str(error)).lower()}."
        return None

    return keep


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    kernel = sys.modules.get("ipykernel")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return kernel is not None and shell is not None and hasattr(shell, "kernel")
