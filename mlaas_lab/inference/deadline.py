"""Alarms for calls: one timer for all deadlines of a client, and one look now and then for streams that fell silent.

`asyncio.timeout` arms and cancels a timer per call, which is a twentieth of what a call costs; per piece of a stream it
would be more.
"""

import asyncio
from types import TracebackType
from typing import Protocol, Self

LOOKS = 4
"""How often silence is looked for within the time that is too long; so it is noticed at most a quarter too late."""


class _Watch(Protocol):
    def add(self, alarm: "Alarm") -> None: ...
    def remove(self, alarm: "Alarm") -> None: ...


class Alarm:
    """A block that raises TimeoutError when its time is over, as `asyncio.timeout` does."""

    __slots__ = ("_cancelling", "_task", "_watch", "at", "late")

    def __init__(self, watch: _Watch, at: float) -> None:
        self._watch = watch
        self.late = False
        """The time is over, and that is what ended the block."""
        self.at = at
        """By the loop's clock, in seconds."""

    @property
    def left_s(self) -> float:
        """Seconds to go."""
        return self.at - asyncio.get_running_loop().time()

    def expire(self) -> None:
        """The time is over."""
        if not self.late:
            self.late = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an alarm belongs to a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._watch.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.remove(self)
        # Somebody else may have cancelled the task as well; then that is what counts.
        if self.late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Deadlines:
    """Calls that share a time limit: their deadlines come in the order of their starts, so one timer does."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s` is what every call gets."""
        self.timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, Alarm] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> Alarm:
        """The deadline of a call that starts now, to be entered."""
        return Alarm(self, self._loop.time() + self.timeout_s)

    def close(self) -> None:
        """Forget the timer; no call runs any more."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, alarm: Alarm) -> None:
        """Watch a call."""
        self._running[id(alarm)] = alarm
        if self._timer is None:
            self._timer = self._loop.call_at(alarm.at, self._expire)

    def remove(self, alarm: Alarm) -> None:
        """Watch it no more."""
        del self._running[id(alarm)]

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for alarm in self._running.values():
            if alarm.at > now:
                self._timer = self._loop.call_at(alarm.at, self._expire)
                return
            alarm.expire()


class Silence(Alarm):
    """A block that raises TimeoutError when nothing was heard for too long."""

    __slots__ = ("_loop", "_stall_s")

    def __init__(self, watch: "Silences", stall_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._stall_s = stall_s
        super().__init__(watch, float("inf"))

    def heard(self) -> None:
        """Something came: from now on, silence counts."""
        self.at = self._loop.time() + self._stall_s


class Silences:
    """Streams of one client; all are looked at now and then."""

    def __init__(self, stall_s: float) -> None:
        """`stall_s` is how long a stream that has begun may say nothing."""
        self.stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, Alarm] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> Silence:
        """The watch over a stream, to be entered."""
        return Silence(self, self.stall_s)

    def close(self) -> None:
        """Forget the timer; nothing streams any more."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, alarm: Alarm) -> None:
        """Watch a stream."""
        self._running[id(alarm)] = alarm
        if self._timer is None:
            self._look()

    def remove(self, alarm: Alarm) -> None:
        """Watch it no more."""
        del self._running[id(alarm)]

    def _look(self) -> None:
        now = self._loop.time()
        for alarm in self._running.values():
            if alarm.at <= now:
                alarm.expire()
        self._timer = self._loop.call_later(self.stall_s / LOOKS, self._look) if self._running else None
