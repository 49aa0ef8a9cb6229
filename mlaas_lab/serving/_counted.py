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
        self._ours: dict[str, Pair] = {}
        self._last: tuple[float, float] = (self._since, 0.0)
        self._last_by_model: dict[str, float] = {}

    def leave_out(self, model: str, ours: Pair) -> None:
        """Tokens that we had `model` read and write ourselves."""
        before = self._ours.get(model, (0.0, 0.0))
        self._ours[model] = (before[0] + ours[0], before[1] + ours[1])

    def work(self, load: Load) -> Work:
        """What it does, as of `load`, which was read just now."""
        now, waiting = time.monotonic(), load.waiting
        read, written = self._since_start(load) or (None, None)
        rate, by_model = None, dict[str, float]()
        if read is not None and written is not None:
            past_s = max(now - self._last[0], 1e-3)
            rate = max(0.0, read + written - self._last[1]) / past_s
            by_model = {name: n / past_s for name, n in self._new_by_model(load).items()}
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
            by_model=by_model,
            asked=load.asked,
        )

    def _new_by_model(self, load: Load) -> dict[str, float]:
        """Tokens of each model since the last look."""
        first = self._first.result()
        known = {} if first is None else first.by_model
        ours = {name: known.get(name, 0.0) + sum(self._ours.get(name, ())) for name in load.by_model}
        now = {name: max(0.0, n - ours[name]) for name, n in load.by_model.items()}
        before, self._last_by_model = self._last_by_model, now
        return {name: max(0.0, n - before.get(name, 0.0)) for name, n in now.items()}

    def _since_start(self, load: Load) -> Pair | None:
        """None where it does not count, or its counts could not be read at its start."""
        first = self._first.result()
        if first is None or first.read is None or first.written is None or load.read is None or load.written is None:
            return None
        read, written = load.read - first.read, load.written - first.written
        ours = self._ours.values()
        return max(0.0, read - sum(one for one, _ in ours)), max(0.0, written - sum(one for _, one in ours))
