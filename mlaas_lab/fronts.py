"""Where growing results are shown while one waits: a terminal's line, a notebook's output.

Both redraw at most four times a second and only what changed; the last state is always drawn.
"""

import shutil
import sys
import threading
import time
from typing import Any, TextIO

from mlaas_lab.view import Shown

EVERY_S = 0.25
QUIET_EVERY_S = 5.0
"""Where lines cannot be drawn over (a log file), one is written this often."""


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
        line = shown.line()
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
        if now - self._drawn_at < EVERY_S:
            return
        self._drawn_at = now
        data = shown._repr_mimebundle_()
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def finish(self, shown: Shown | None) -> None:
        """Draw the final state where the growing one was; it is not shown a second time as the cell's result."""
        if self._handle is not None and shown is not None:
            self._handle.update(shown._repr_mimebundle_(), raw=True)
            shown.drawn = True


def show(shown: Any) -> None:
    """Show a result in a notebook: a job that runs stays up to date, what was drawn already is left alone."""
    from IPython.display import display

    if shown.drawn:
        shown.drawn = False
    elif hasattr(shown, "settled"):
        _follow(shown)
    else:
        display(shown._repr_mimebundle_(), raw=True)


def _follow(shown: Any) -> None:
    """Show a job and keep it up to date from a thread until nothing more happens; the kernel stays free.

    Updates find their output by its id, so they never land in another cell.
    """
    from IPython.display import display

    handle = display(shown._repr_mimebundle_(), raw=True, display_id=True)
    if not shown.settled:
        threading.Thread(target=_keep, args=(shown, handle), name=f"mlaas-follow-{shown.id}", daemon=True).start()


def _keep(shown: Any, handle: Any) -> None:
    last = None
    while True:
        done = shown.settled
        now = shown._repr_mimebundle_()
        if now != last:
            handle.update(now, raw=True)
            last = now
        if done:
            return
        time.sleep(EVERY_S * 2)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    kernel = sys.modules.get("ipykernel")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return kernel is not None and shell is not None and hasattr(shell, "kernel")
