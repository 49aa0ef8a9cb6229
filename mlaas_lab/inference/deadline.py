"""One timer for all calls of a client: they share a time limit, so their deadlines come in the order of their starts.

`asyncio.timeout` arms and cancels a timer per call, which is a twentieth of what a call costs.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Arms a timer for the oldest call only."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s` is what every call gets."""
        self.timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, Deadline] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> "Deadline":
        """The deadline of a call that starts now, to be entered."""
        return Deadline(self)

    def close(self) -> None:
        """Forget the timer; no call runs any more."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, deadline: "Deadline") -> None:
        """Watch a call."""
        self._running[id(deadline)] = deadline
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._expire)

    def remove(self, deadline: "Deadline") -> None:
        """Watch it no more."""
        del self._running[id(deadline)]

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for deadline in self._running.values():
            if deadline.at > now:
                self._timer = self._loop.call_at(deadline.at, self._expire)
                return
            deadline.expire()


class Deadline:
    """A block that raises TimeoutError when its time is over, as `asyncio.timeout` does."""

    __slots__ = ("_all", "_cancelling", "_late", "_task", "at")

    def __init__(self, deadlines: Deadlines) -> None:
        self._all = deadlines
        self._late = False
        self.at = asyncio.get_running_loop().time() + deadlines.timeout_s
        """By the loop's clock, in seconds."""

    @property
    def left_s(self) -> float:
        """Seconds to go."""
        return self.at - asyncio.get_running_loop().time()

    def expire(self) -> None:
        """The time is over."""
        if not self._late:
            self._late = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline belongs to a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._all.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.remove(self)
        # Somebody else may have cancelled the task as well; then that is what counts.
        if self._late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
