"""Many jobs as a live table has them: rows of plain values, and what changed since they were sent.

Sorting and filtering are the page's, so they work while a cell runs; a look costs what changed, not what there is. It
knows no widget: whatever carries messages can ask it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON, Job
from mlaas_lab.store import Store
from mlaas_lab.store.overview import Overview
from mlaas_lab.view.job import share, state
from mlaas_lab.view.words import spent_words
from mlaas_lab.widgets import twin
from mlaas_lab.widgets.messages import Kinds, Message, answered
from mlaas_lab.widgets.texts import NAME, plain, text

WHY = 500
"""Characters of an error or of what a job waits for."""
MOST_CHANGED = 200
"""Rows that are sent beside the others; with more all are sent anew."""

Row = list[JSON]
"""`[id, nr, task, name, state, tone, alive, share, spent, created_at, started_at, ended_at, why]`."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a live table of jobs stands on."""

    jobs: Sequence[Job]
    """Newest first."""
    store: Store
    overview: Overview
    """Of the same store."""
    stop: Callable[[str], Any]
    """Asks a job to stop."""
    wanted: Callable[[Job], bool] = field(default=lambda _job: True)
    """Whether a job that is new belongs here."""
    words: Sequence[str] = ("jobs",)
    """The command that shows it, word by word, without `mlaas`."""


class Cancel(Message):
    """Ask one of the jobs to stop."""

    job: str = Field(max_length=64)


KINDS: Kinds = {"cancel": Cancel}


class Tabled:
    """Jobs as a page sees them."""

    def __init__(self, looked: Looked) -> None:
        """The first look says what is known already."""
        self._looked = looked
        total = len(looked.jobs)
        self._rows = {job.id: row(job, total - i) for i, job in enumerate(looked.jobs)}
        looked.overview.look()
        self._at = looked.overview.at
        self.changed: dict[str, Row | None] = {}
        """Since `rows` was read: None is gone."""

    @property
    def first(self) -> dict[str, JSON]:
        """What never changes."""
        return {"title": "Jobs", "code": twin.magic(list(self._looked.words))}

    @property
    def rows(self) -> bytes:
        """All of them, as JSON."""
        return json.dumps(list(self._rows.values()), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def look(self) -> bool:
        """See what changed; True if it is so much that all rows had better be sent anew."""
        overview = self._looked.overview
        if not overview.look():
            return False
        news = overview.since(self._at)
        self._at = overview.at
        for job_id in news["gone"]:
            if self._rows.pop(job_id, None):
                self.changed[job_id] = None
        for told in news["jobs"]:
            self._learn(str(told["id"]))
        if len(self.changed) <= MOST_CHANGED:
            return False
        self.changed = {}
        return True

    def _learn(self, job_id: str) -> None:
        try:
            job = self._looked.store.job(job_id)
        except UsageError:
            return  # Deleted since.
        before = self._rows.get(job_id)
        if before is None and not self._looked.wanted(job):
            return
        nr = before[1] if before else 1 + max((one[1] for one in self._rows.values()), default=0)
        now = row(job, nr)
        if now != before:
            self._rows[job_id] = self.changed[job_id] = now

    def answer(self, message: object) -> Mapping[str, JSON] | None:
        """What to send back; None for what is no message of ours."""
        return answered(message, KINDS, self._answer)

    def _answer(self, message: Message) -> dict[str, JSON]:
        if not isinstance(message, Cancel) or message.job not in self._rows:
            raise UsageError("there is no such job here.")
        self._looked.stop(message.job)
        return {"kind": "told", "said": "It was asked to stop; it keeps what is worth keeping."}


def row(job: Job, nr: int) -> Row:
    """One job, `nr` being the order they were added in."""
    badge, progress = state(job), job.progress
    done = share(job)
    spent = "" if progress is None else spent_words(progress.spent_usd, n_unpriced=progress.n_unpriced)
    times = [None if at is None else round(at, 1) for at in (job.created_at, job.started_at, job.ended_at)]
    named = [text(job.task, NAME), text(job.name, NAME), text(badge.text, NAME), str(badge.tone)]
    why = plain(job.error or (job.waiting if not job.state.ended else "") or "", WHY)
    return [job.id, nr, *named, not job.state.ended, None if done is None else round(done, 4), spent, *times, why]
