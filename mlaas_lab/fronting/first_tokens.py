"""How long first tokens take, as whoever asks the front sees it: cold where the server slept, warm where it ran.

Only streams tell when their first token came. Nothing is changed or held up for it: what passes is looked at until a
piece of text is in it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from mlaas_lab.fronting.answers import Answer
from mlaas_lab.fronting.doors import Door

LAST = 100
"""Streams that the median of warm ones is over."""
NOTE_S = 5.0
"""Between two notes of the same endpoint's warm ones."""
_STREAM = re.compile(rb"\r\ncontent-type:\s*text/event-stream", re.IGNORECASE)
_TEXT = re.compile(rb'"(?:content|text|reasoning|reasoning_content|thinking|arguments|partial_json)"\s*:\s*"[^"]')
"""A piece of an answer that is not empty, as the streams of all clients have it."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What is new of one endpoint, in seconds; None: nothing is."""

    job_id: str
    name: str
    cold_s: float | None
    warm_s: float | None


@dataclass(kw_only=True)
class _Times:
    warm: deque[float] = field(default_factory=lambda: deque(maxlen=LAST))
    cold_s: float | None = None
    warm_s: float | None = None
    noted_at: float = -NOTE_S


class Timing:
    """One stream, until its first token."""

    def __init__(self, heard: Callable[[float], None]) -> None:
        """`heard` is called once, with when the token came by the loop's clock."""
        self._heard = heard

    def over(self, data: bytes) -> bool:
        """Whether `data`, which has just been passed on, has the first token."""
        if _TEXT.search(data) is None:
            return False
        self._heard(asyncio.get_running_loop().time())
        return True


class FirstTokens:
    """Those of all endpoints; times are by the loop's clock, in seconds."""

    def __init__(self) -> None:
        """None yet."""
        self._woken: dict[str, float] = {}
        """Job → when the request came that woke it, until somebody got a token of it."""
        self._times: dict[tuple[str, str], _Times] = {}

    def woke(self, job_id: str, at: float) -> None:
        """A request that came `at` found the server of a job asleep."""
        self._woken[job_id] = at

    def timing(self, door: Door | None, asked_at: float, answer: Answer) -> Timing | None:
        """What listens to `answer` for its first token; None where it is no stream of an endpoint."""
        if door is None or answer.status != 200 or _STREAM.search(answer.head) is None:
            return None
        job_id, name = door.job_id, door.name
        return Timing(lambda at: self._heard(job_id, name, asked_at, at))

    def take(self, now: float) -> list[Noted]:
        """What is worth writing down since the last call."""
        found = []
        for (job_id, name), times in self._times.items():
            warm = round(median(times.warm), 3) if times.warm else None
            due = warm != times.warm_s and now - times.noted_at >= NOTE_S
            if due or times.cold_s is not None:
                found.append(Noted(job_id=job_id, name=name, cold_s=times.cold_s, warm_s=warm))
                times.cold_s, times.warm_s, times.noted_at = None, warm, now
        return found

    def _heard(self, job_id: str, name: str, asked_at: float, at: float) -> None:
        times = self._times.setdefault((job_id, name), _Times())
        woken_at = self._woken.pop(job_id, None)
        if woken_at is None:
            times.warm.append(at - asked_at)
        else:
            times.cold_s = round(at - woken_at, 3)
