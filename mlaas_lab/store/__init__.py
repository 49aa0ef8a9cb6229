"""Life cycle of jobs and endpoints: what, where, state. Results live in MLflow, not here.

Only this package imports sqlite3. The supervisor of an attempt alone writes a job's state; an older attempt is refused.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlaas_lab.errors import StoreError, UsageError, did_you_mean
from mlaas_lab.resources import Blocked, Lease, Machine, Needs
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.store import claims, endpoints, forgetting, leases, rows
from mlaas_lab.store.connection import Database
from mlaas_lab.store.history import ALIVE, NEXT, Happened
from mlaas_lab.store.served import Served

__all__ = ["ALIVE", "NEXT", "REUSABLE", "Store"]

REUSABLE = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
"""A job in one of these states is returned when the same Spec is asked for again."""


class Store(Served):
    """The SQLite file; safe to share between threads, and between processes that each open it."""

    def __init__(self, path: Path) -> None:
        """Open or create the store at `path`.

        Raises:
            StoreError: if it cannot be used.
        """
        self._db = Database(path)

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def add(self, job: Job, *, force: bool = False) -> Job:
        """Insert a queued job, or return the one that already has its spec hash (never with `force`).

        Look-up and insertion are one transaction: of two kernels that submit at once, one inserts.

        Raises:
            UsageError: if it would answer to a name that another job has.
        """
        with self._db.write() as db:
            if not force:
                marks = ",".join("?" * len(REUSABLE))
                found = db.execute(
                    f"select * from jobs where spec_hash=? and state in ({marks}) order by rowid desc",  # noqa: S608
                    (job.spec_hash, *REUSABLE),
                ).fetchone()
                if found:
                    return rows.job(found)
            claims.check(db, job.id, job.claims)
            values = rows.columns(job)
            names, marks = ",".join(values), ",".join("?" * len(values))
            db.execute(f"insert into jobs ({names}) values ({marks})", tuple(values.values()))  # noqa: S608
            self._event(db, job.id, (job.state, job.attempt, job.created_at, None))
        return job

    def job(self, job_id: str) -> Job:
        """The job with exactly this id.

        Raises:
            UsageError: if there is none.
        """
        found = self._db.read("select * from jobs where id=?", job_id)
        if not found:
            raise UsageError(f"no job {job_id!r}.", next="`jobs` lists them.")
        return rows.job(found[0])

    def find(self, text: str) -> Job:
        """A job by id, by a unique prefix of its id, or the newest by its name.

        Raises:
            UsageError: if none or several fit.
        """
        exact = self._db.read("select * from jobs where id=? or name=? order by rowid desc", text, text)
        if exact:
            return rows.job(next((row for row in exact if row["id"] == text), exact[0]))
        near = self._db.read("select * from jobs where substr(id, 1, ?)=?", len(text), text) if text else []
        if len(near) == 1:
            return rows.job(near[0])
        if near:
            raise UsageError(f"{text!r} fits {len(near)} jobs: {', '.join(row['id'] for row in near[:5])}.")
        known = [word for row in self._db.read("select id, name from jobs") for word in row if word]
        raise UsageError(f"no job {text!r}.", next=did_you_mean(text, known) or "`jobs` lists them.")

    def jobs(
        self,
        *,
        task: str | None = None,
        name: str | None = None,
        states: Iterable[JobState] | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Jobs, newest first: in the order they were added, whatever the clock said then."""
        where, values = ["1"], list[Any]()
        for column, value in (("task", task), ("name", name)):
            if value is not None:
                where.append(f"{column}=?")
                values.append(value)
        if states is not None:
            wanted = [str(state) for state in states]
            where.append(f"state in ({','.join('?' * len(wanted))})")
            values += wanted
        sql = f"select * from jobs where {' and '.join(where)} order by rowid desc limit ?"  # noqa: S608
        return [rows.job(row) for row in self._db.read(sql, *values, limit or -1)]

    def count(self) -> int:
        """How many jobs there are."""
        return int(self._db.read("select count(*) from jobs")[0][0])

    def move(
        self, job_id: str, to: JobState, *, attempt: int, why: str | None = None, handle: dict[str, JSON] | None = None
    ) -> Job:
        """Change a job's state, and write why into its history.

        Raises:
            StoreError: if the step is not allowed, or a newer attempt has taken over.
        """
        now = time.time()
        with self._db.write() as db:
            job = rows.fenced(db, job_id, attempt)
            if to not in NEXT[job.state]:
                raise StoreError(f"job {job_id} is {job.state} and cannot become {to}.")
            error = why if to is JobState.FAILED else None
            db.execute("update jobs set state=?, error=? where id=?", (to, error, job_id))
            if to is JobState.RUNNING:
                db.execute("update jobs set started_at=?, waiting=null where id=?", (now, job_id))
            else:
                db.execute("update jobs set ready=0, waiting=null where id=?", (job_id,))
                endpoints.leave(db, job_id)
                leases.release(db, job_id)
            if to.ended:
                db.execute("update jobs set ended_at=? where id=?", (now, job_id))
            if handle is not None:
                db.execute("update jobs set handle=? where id=?", (json.dumps(handle), job_id))
            self._event(db, job_id, (to, attempt, now, why))
            return rows.found(db, job_id)

    def requeue(
        self, job_id: str, *, attempt: int, why: str, by_hand: bool = False, spec: Mapping[str, JSON] | None = None
    ) -> Job | None:
        """Start a new attempt of a job that ended badly or was preempted; None if another did that already.

        One that succeeded is started anew by hand only: for what is missing in its result.

        Args:
            job_id: which job.
            attempt: the one that ended.
            why: for its history.
            by_hand: somebody asked for it, so that it may be preempted anew as often as a fresh job.
            spec: its options from now on.

        Raises:
            StoreError: if it is in a state from which it cannot go on.
            UsageError: if another job answers to its name meanwhile.
        """
        with self._db.write() as db:
            job = rows.found(db, job_id)
            if job.attempt != attempt or job.state in (JobState.QUEUED, JobState.RUNNING):
                return None
            if JobState.QUEUED not in NEXT[job.state] or (job.state is JobState.SUCCEEDED and not by_hand):
                raise StoreError(f"job {job_id} is {job.state} and cannot go on.")
            claims.check(db, job_id, job.claims)
            requeues = 0 if by_hand else job.requeues + 1
            return self._again(db, replace(job, requeues=requeues, spec=spec or job.spec, handle={}), why)

    def restart(self, job_id: str, *, attempt: int, why: str, then: str, spec: Mapping[str, JSON]) -> Job:
        """Preempt a running attempt, because of `why`, and queue the next with `spec`, under the same supervisor.

        One step, so that nobody else has it go on meanwhile; `then` says what will be different.

        Raises:
            StoreError: if it does not run, or a newer attempt has taken over.
        """
        with self._db.write() as db:
            job = rows.fenced(db, job_id, attempt)
            if job.state is not JobState.RUNNING:
                raise StoreError(f"job {job_id} is {job.state} and cannot be started anew.")
            leases.release(db, job_id)
            self._event(db, job_id, (JobState.PREEMPTED, attempt, time.time(), why))
            handle = {key: value for key, value in job.handle.items() if key != "entry"}
            return self._again(db, replace(job, spec=spec, handle=handle), then)

    def swap(self, job_id: str, *, attempt: int, seen: Mapping[str, JSON], handle: Mapping[str, JSON]) -> bool:
        """Set the handle of a job that is alive if it still is the one that was seen; of two that try, one does."""
        with self._db.write() as db:
            job = rows.found(db, job_id)
            if job.attempt != attempt or job.state.ended or dict(job.handle) != dict(seen):
                return False
            db.execute("update jobs set handle=? where id=?", (json.dumps(dict(handle)), job_id))
        return True

    def take(self, job_id: str, *, attempt: int, handle: Mapping[str, JSON]) -> Job:
        """Make the process of `handle` the supervisor of an attempt that nobody supervises.

        Raises:
            StoreError: if another does, or the attempt has ended or was replaced.
        """
        with self._db.write() as db:
            job = rows.fenced(db, job_id, attempt)
            if job.state not in (JobState.QUEUED, JobState.RUNNING):
                raise StoreError(f"job {job_id} is {job.state} and needs no supervisor.")
            if job.handle.get("pid") not in (None, handle["pid"]):
                raise StoreError(f"job {job_id} has a supervisor, process {job.handle['pid']}.")
            kept = {"entry": job.handle["entry"]} if "entry" in job.handle else {}
            db.execute("update jobs set handle=? where id=?", (json.dumps({**handle, **kept}), job_id))
        return job

    def grant(self, job_id: str, needs: Needs, machine: Machine, *, attempt: int) -> list[Lease] | Blocked:
        """Leases on what the job needs, or why it must wait; they end when the attempt stops running."""
        with self._db.write() as db:
            rows.fenced(db, job_id, attempt)
            return leases.grant(db, job_id, needs, machine)

    def update(self, job_id: str, *, attempt: int, **values: Any) -> None:
        """Set progress, ready, handle, waiting, beat or run_id while an attempt is alive.

        Raises:
            StoreError: if a newer attempt has taken over.
        """
        ready = {name: rows.stored(value) for name, value in values.items()}
        with self._db.write() as db:
            rows.fenced(db, job_id, attempt)
            columns = ",".join(f"{name}=?" for name in ready)
            db.execute(f"update jobs set {columns} where id=?", (*ready.values(), job_id))  # noqa: S608

    def request_cancel(self, job_id: str) -> Job:
        """Leave word for the supervisor; works while a cell runs and when the kernel is dead."""
        with self._db.write() as db:
            db.execute("update jobs set cancel_requested=1 where id=?", (job_id,))
            return rows.found(db, job_id)

    def forget(self, job_id: str, *, attempt: int) -> bool:
        """Delete a job that has ended, with its history; False if it is alive, or a newer attempt has been made."""
        with self._db.write() as db:
            job = rows.found(db, job_id)
            if job.attempt != attempt or not job.state.ended:
                return False
            forgetting.forget(db, job_id)
        return True

    def history(self, job_id: str) -> list[Happened]:
        """Everything that happened to a job, in order; `history.rebuilt` makes its row of it."""
        found = self._db.read("select state, attempt, at, why from events where job_id=? order by seq", job_id)
        return [(JobState(row["state"]), row["attempt"], row["at"], row["why"]) for row in found]

    def _again(self, db: sqlite3.Connection, job: Job, why: str) -> Job:
        """The next attempt of `job`, queued, with the rest of it as given."""
        fresh = replace(
            job, state=JobState.QUEUED, attempt=job.attempt + 1, error=None, ended_at=None, cancel_requested=False
        )
        values = rows.columns(replace(fresh, ready=False))
        db.execute(f"update jobs set {','.join(f'{name}=?' for name in values)} where id=?", (*values.values(), job.id))  # noqa: S608
        self._event(db, job.id, (fresh.state, fresh.attempt, time.time(), why))
        return fresh

    def _event(self, db: sqlite3.Connection, job_id: str, happened: Happened) -> None:
        db.execute("insert into events (job_id, state, attempt, at, why) values (?,?,?,?,?)", (job_id, *happened))
