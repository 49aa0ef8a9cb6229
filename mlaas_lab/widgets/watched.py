"""What a live card of a job says: cheap to ask four times a second, and never more than a page can show.

What the job has found so far is drawn anew only when its files have changed. It knows no widget: whatever carries
messages can ask it.
"""

import time
from functools import cached_property
from typing import Any

from mlaas_lab import hosted, registry
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.schema import JSON, Work
from mlaas_lab.tasks import Task
from mlaas_lab.view import Facts, Mark, View, endpoints
from mlaas_lab.view.job import STOP, WATCH, card, state, title
from mlaas_lab.widgets import content, twin
from mlaas_lab.widgets.links import links
from mlaas_lab.widgets.messages import Kinds, Message, answered
from mlaas_lab.widgets.texts import NAME, plain, text

LOG_LINES = 12
LOG_CHARS = 4000
FOUND_EVERY_S = 1.0
"""A chart says no more if it is drawn more often."""
BEAT_S = 5.0
"""So often a page hears from the kernel even if nothing changed; after three times that it says that it does not."""


class Cancel(Message):
    """Ask the job to stop."""


KINDS: Kinds = {"cancel": Cancel}


class Watched:
    """One job as a page sees it."""

    def __init__(self, handle: JobHandle) -> None:
        """Nothing is read yet."""
        self.handle = handle
        self._seen: tuple[Any, ...] | None = None
        self._found: list[JSON] = []
        self._found_at = -FOUND_EVERY_S
        self._worked: JSON = None
        self._asked: list[endpoints.Asked] = []

    @cached_property
    def first(self) -> dict[str, JSON]:
        """What never changes."""
        job = self.handle.job
        come_back = twin.magic(["attach", job.id])
        return {
            "title": text(title(job), NAME),
            "id": job.id,
            "code": twin.line(job.task, job.spec),
            "back": come_back,
            "silence_s": 3 * BEAT_S,
        }

    def now(self) -> dict[str, JSON]:
        """Where it stands."""
        job = self.handle.job
        asleep = self.handle.asleep
        serving = self.handle.serving
        badge, view = state(job, asleep=asleep), card(job, results=[], log=[], asleep=asleep)
        return {
            "state": [text(badge.text, NAME), str(badge.tone)],
            "over": job.state.ended and not asleep,
            "ready": job.ready or asleep,
            "asked": job.cancel_requested and not job.state.ended,
            "links": [[text(words), url] for words, url in links([job])],
            "marks": content.marks([_shorter(mark) for mark in view.marks]),
            "parts": content.sections([endpoints.view(serving, self._hosted(serving))]) if serving else [],
            "log": plain("\n".join(self.handle.folder.tail(LOG_LINES, limit_bytes=LOG_CHARS)), LOG_CHARS),
            "beat": int(time.monotonic() / BEAT_S),
        }

    def found(self, *, last: bool = False) -> list[JSON]:
        """What it has found so far, at most a second old, and not even that at the `last` look."""
        seen, now = self._files(), time.monotonic()
        if seen != self._seen and (last or now - self._found_at >= FOUND_EVERY_S):
            task: Task = registry.load("task", self.handle.job.task)
            views: list[View] = registry.resolve(task.view)(self.handle.folder) if task.view else []
            self._seen, self._found, self._found_at = seen, content.sections(views), now
        return self._found

    def answer(self, message: object) -> dict[str, JSON] | None:
        """What to send back; None for what is no message of ours."""
        return answered(message, KINDS, self._answer)

    def _answer(self, message: Message) -> dict[str, JSON]:
        if not isinstance(message, Cancel):
            raise UsageError(f"nothing answers {message.kind!r}.")
        job = self.handle.cancel().job
        said = f"It is {job.state}." if job.state.ended else "It was asked to stop; it keeps what is worth keeping."
        return {"kind": "told", "said": said}

    def _hosted(self, serving: list[dict[str, JSON]]) -> list[endpoints.Asked]:
        """What others would ask for what the server did; looked up anew when that has changed."""
        said = next((one["work"] for one in serving if one.get("work")), None)
        if said != self._worked:
            self._worked, manager = said, self.handle.manager
            self._asked = hosted.asked(manager.store, manager.settings, Work(**said)) if said else []
        return self._asked

    def _files(self) -> tuple[Any, ...]:
        folder = self.handle.folder
        found = (path.stat() for path in (folder.events, folder.outcome, folder.records) if path.exists())
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def _shorter(mark: Mark) -> Mark:
    """Without the commands for what it does itself."""
    if not isinstance(mark, Facts):
        return mark
    return Facts(rows=[row for row in mark.rows if row[0] not in (STOP, WATCH)])
