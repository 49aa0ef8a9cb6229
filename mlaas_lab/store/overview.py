"""What a sidebar shows of the store, and what changed of it since somebody last looked.

Each row carries the number of the look that found it changed. Whoever was away says which number it saw last and gets
every row that changed since, as it stands now, and the ids of those that are gone: a lost line misses nothing. It knows
nothing of servers, and starts no job anew: who looks after jobs is `recovery`.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JSON, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import ALIVE, endpoints
from mlaas_lab.store.connection import Database
from mlaas_lab.store.doing import doing
from mlaas_lab.store.ledger import spent_today

NEWEST = 1000
"""Jobs that are shown; older ones only while they are alive."""
SILENT_S = 30.0
"""A running job whose supervisor wrote nothing for so long is said to be silent; it writes every two seconds."""
AGAIN_S = 5.0
"""How often a store that did not change is read all the same: silence is no change."""
SPEND_S = 1.0
"""How often money is looked at, which lies in a file of its own."""
REMEMBERED = 10_000
"""Ids of deleted jobs that are kept for those who come back; whoever was away for longer starts afresh."""
LONGEST = 2000
"""Characters of an error."""

_COLUMNS = (
    "id, rowid nr, task, name, state, attempt, created_at, started_at, ended_at, progress, ready, run_id,"
    f" cancel_requested, waiting, substr(error, 1, {LONGEST}) error"
)
_JOBS = (
    f"select {_COLUMNS}, beat from jobs where rowid >= coalesce("  # noqa: S608 - nothing of it is a user's
    f"(select rowid from jobs order by rowid desc limit 1 offset {NEWEST - 1}), 0)"
    f" or state in ({','.join(repr(str(state)) for state in ALIVE)}) order by rowid"
)

Row = tuple[Any, ...]


def unknown() -> JSON:
    """What is spent where nobody keeps count."""
    return {"today_usd": None, "held_usd": None, "cap_usd": None, "at_least": False}


def spend(settings: Settings) -> JSON:
    """What this UTC day has cost and may cost; a ledger that cannot be read leaves that unknown, and the jobs shown."""
    try:
        today = spent_today(settings.ledger_path)
    except StoreError:
        return unknown()
    cap = settings.max_usd_per_day
    known = {"today_usd": today.spent_usd, "held_usd": today.held_usd, "at_least": today.at_least}
    return {**known, "cap_usd": None if cap is None else float(cap)}


class Overview:
    """Everything that is shown, numbered by when it changed; for one thread at a time."""

    def __init__(self, path: Path, spent: Callable[[], JSON] = unknown) -> None:
        """The store at `path` is opened when it is there; one that nobody made yet is not made.

        `spent` says what today has cost: `{today_usd, held_usd, cap_usd, at_least}`, None where nobody knows.
        """
        self.epoch = secrets.token_hex(4)
        """Numbers mean something within it only."""
        self.seq = 0
        self._path = path
        self._db: Database | None = None
        self._version, self._read_at = -1, -AGAIN_S
        self._spent, self._asked_at = spent, -SPEND_S
        self._jobs: dict[str, tuple[int, Row]] = {}
        self._gone: dict[str, int] = {}
        self._lost = 0
        self._parts: dict[str, tuple[int, JSON]] = {"endpoints": (0, []), "spend": (0, unknown())}
        self._beats: dict[str, tuple[int, float]] = {}

    def look(self) -> bool:
        """Read what changed; whether anything did.

        Raises:
            StoreError: if the store cannot be opened or read.
        """
        now = time.monotonic()
        parts: dict[str, JSON] = {}
        if now - self._asked_at >= SPEND_S:
            self._asked_at, parts["spend"] = now, self._spent()
        if self._db is None and self._path.exists():
            self._db = Database(self._path)
        if self._db is None:
            return self._keep({}, parts)
        # Another number whenever another connection has changed something: https://sqlite.org/pragma.html
        version = self._db.read("pragma data_version")[0][0]
        if version == self._version and now - self._read_at < AGAIN_S:
            return bool(parts) and self._keep(None, parts)
        found = {row["id"]: self._row(row, now) for row in self._db.read(_JOBS)}
        alive = [endpoints.read(row) for row in self._db.read(endpoints.ALIVE)]
        said = doing(alive, time.time())
        parts["endpoints"] = [{**asdict(one), "doing": does} for one, does in zip(alive, said, strict=True)]
        self._version, self._read_at = version, now
        return self._keep(found, parts)

    def since(self, seen: str | None) -> dict[str, JSON]:
        """What somebody lacks who saw `seen`, an earlier `at`; everything, if that says nothing.

        `{at, full, jobs: [...], gone: [id], endpoints: [...], spend: {...}}`, the last two only if they changed.
        """
        after = self._after(seen)
        full = after is None
        after = -1 if after is None else after
        return {
            "at": self.at,
            "full": full,
            "jobs": [shown(row) for seq, row in self._jobs.values() if seq > after],
            "gone": [] if full else [job_id for job_id, seq in self._gone.items() if seq > after],
            **{name: value for name, (seq, value) in self._parts.items() if seq > after},
        }

    @property
    def at(self) -> str:
        """Where the numbers stand."""
        return f"{self.epoch}.{self.seq}"

    def close(self) -> None:
        """Give the file back."""
        if self._db is not None:
            self._db.close()

    def _after(self, seen: str | None) -> int | None:
        epoch, _, number = (seen or "").partition(".")
        if epoch != self.epoch or not number.isdecimal() or not self._lost <= int(number) <= self.seq:
            return None
        return int(number)

    def _row(self, row: sqlite3.Row, now: float) -> Row:
        """What is shown of a job; its heartbeat only as whether there is one."""
        *values, beat = row
        if row["state"] != JobState.RUNNING:
            self._beats.pop(row["id"], None)
            return (*values, False)
        before, since = self._beats.get(row["id"], (None, now))
        if beat != before:
            since = now
        self._beats[row["id"]] = (beat, since)
        return (*values, now - since > SILENT_S)

    def _keep(self, found: dict[str, Row] | None, parts: dict[str, JSON]) -> bool:
        """Number what is new; `found` None: the jobs are as they were."""
        seq = self.seq + 1
        found = {job_id: row for job_id, (_, row) in self._jobs.items()} if found is None else found
        changed = {job_id: row for job_id, row in found.items() if self._jobs.get(job_id, (0, None))[1] != row}
        gone = self._jobs.keys() - found.keys()
        other = {name: value for name, value in parts.items() if self._parts[name][1] != value}
        if not (changed or gone or other):
            return False
        self._jobs = {job_id: (seq, row) if job_id in changed else self._jobs[job_id] for job_id, row in found.items()}
        self._parts |= {name: (seq, value) for name, value in other.items()}
        for job_id in gone:
            self._gone[job_id] = seq
            self._beats.pop(job_id, None)
        for job_id in changed:
            self._gone.pop(job_id, None)
        while len(self._gone) > REMEMBERED:
            self._lost = self._gone.pop(next(iter(self._gone)))
        self.seq = seq
        return True


def shown(row: Row) -> dict[str, JSON]:
    """A job as the page gets it, `nr` being the order they were added in; progress that cannot be read is none."""
    names = (
        "id",
        "nr",
        "task",
        "name",
        "state",
        "attempt",
        "created_at",
        "started_at",
        "ended_at",
        "progress",
        "ready",
    )
    more = ("run_id", "cancel_requested", "waiting", "error", "silent")
    job = dict(zip((*names, *more), row, strict=True))
    try:
        progress = json.loads(job["progress"] or "null", parse_constant=lambda _: None)
    except ValueError:
        progress = None
    flags = {name: bool(job[name]) for name in ("ready", "cancel_requested")}
    return {**job, **flags, "progress": progress}
