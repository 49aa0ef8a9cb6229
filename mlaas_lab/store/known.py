"""All endpoints that are known, also those whose job has ended: for who must say of one why it does not answer.

Reading is all that happens here, but for how long first tokens took, which only the front can tell.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from mlaas_lab.schema import JobState
from mlaas_lab.store import endpoints
from mlaas_lab.store.connection import Database

MOST = 1_000
"""The newest so many; what ended before them is forgotten here."""
SQL = (
    "select e.*, j.state as job_state, j.created_at, j.attempt, json_extract(j.handle, '$.entry.pid') as watcher,"
    " json_extract(j.spec, '$.idle') as idle, coalesce(json_extract(j.spec, '$.sleep_level'), 0) as sleep_level"
    " from endpoints e join jobs j on j.id=e.job_id where j.task=? order by j.rowid desc, e.rowid limit ?"
)


FIRST_TOKENS = ("cold_first_token_s", "warm_first_token_s")
OF_JOB = ("created_at", "attempt", "watcher", "sleep_level")
PLAIN = ("name", "job_id", "base_url", "model", "engine", *FIRST_TOKENS, *OF_JOB)


@dataclass(frozen=True, kw_only=True)
class Known:
    """One endpoint, and where its job stands."""

    name: str
    job_id: str
    base_url: str
    model: str
    engine: str
    ready: bool
    health: str | None
    """How it is doing, as its job says; None where nobody looks after it."""
    job_state: JobState
    created_at: float
    """When the job was made, UTC seconds."""
    attempt: int
    watcher: int | None
    """Process of its job, which asks it for a token now and then; None while nothing runs."""
    idle: str = ""
    """A Span of its own; empty where its job says none."""
    sleep_level: int = 0
    """What it lets go of when it is idle, as its job says."""
    unchecked: bool = False
    """Nobody compared it with the model that was trained."""
    cold_first_token_s: float | None = None
    warm_first_token_s: float | None = None


class KnownEndpoints:
    """The endpoints of one task's jobs, looked at again and again."""

    def __init__(self, path: Path, *, task: str) -> None:
        """Open the store at `path`.

        Raises:
            StoreError: if it cannot be used.
        """
        self._db = Database(path)
        self._task = task
        self._seen: int | None = None

    def changed(self) -> bool:
        """Whether anybody wrote to the store since this was last asked; costs next to nothing."""
        version = int(self._db.read("pragma data_version")[0][0])
        changed, self._seen = version != self._seen, version
        return changed

    def read(self) -> list[Known]:
        """Those of the newest job first.

        Raises:
            StoreError: if the store cannot be read.
        """
        return [_known(row) for row in self._db.read(SQL, self._task, MOST)]

    def note_first_token(self, job_id: str, name: str, *, cold_s: float | None, warm_s: float | None) -> None:
        """Write how long the first tokens of an endpoint took, in seconds; what is None stays as it is.

        Raises:
            StoreError: if the store cannot be written.
        """
        with self._db.write() as db:
            endpoints.note_first_token(db, job_id, name, cold_s=cold_s, warm_s=warm_s)

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


def _known(row: sqlite3.Row) -> Known:
    plain = {name: row[name] for name in PLAIN}
    health = row["state"] if "state" in row.keys() else None  # noqa: SIM118 - a row is no mapping
    parity = json.loads(row["parity"]) if row["parity"] else {"checked": True}
    return Known(
        **plain,
        idle=row["idle"] or "",
        unchecked=not parity["checked"],
        ready=bool(row["ready"]),
        health=health,
        job_state=JobState(row["job_state"]),
    )
