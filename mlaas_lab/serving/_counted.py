"""What a server did, from what it counts: tokens since it started and since the last look, our own looks left out."""

import time
from concurrent.futures import Future

from mlaas_lab.schema import Work
from mlaas_lab.serving._health import Load

Pair = tuple[float, float]
"""Tokens read, and written."""


class Tokens:
    """The counts of one server, from its start on."""

    def __init__(self, first: Future[Load | None]) -> None:
        """`first` is what it had counted when it was ready: comparing adapters is nobody's use of it."""
        self._first = first
        self._since = time.monotonic()
        self._ours: Pair = (0.0, 0.0)
        self._last: tuple[float, float] = (self._since, 0.0)

    def leave_out(self, ours: Pair) -> None:
        """Tokens that we had it read and write ourselves."""
        self._ours = (self._ours[0] + ours[0], self._ours[1] + ours[1])

    def work(self, load: Load) -> Work:
        """What it does, as of `load`, which was read just now."""
        now, waiting = time.monotonic(), load.waiting
        read, written = self._since_start(load) or (None, None)
        rate = None
        if read is not None and written is not None:
            rate = max(0.0, read + written - self._last[1]) / max(now - self._last[0], 1e-3)
            self._last = (now, read + written)
        return Work(
            at=time.time(),
            running=load.running - (waiting or 0.0),
            waiting=waiting,
            cache=load.cache,
            tokens_per_s=rate,
            input_tokens=read,
            output_tokens=written,
            over_s=now - self._since,
        )

    def _since_start(self, load: Load) -> Pair | None:
        """None where it does not count, or its counts could not be read at its start."""
        first = self._first.result()
        if first is None or first.read is None or first.written is None or load.read is None or load.written is None:
            return None
        read, written = load.read - first.read, load.written - first.written
        return max(0.0, read - self._ours[0]), max(0.0, written - self._ours[1])
