"""What becomes of a job whose supervisor is gone: what is left of it is killed, and it goes on or is given up.

Anybody who looks at a job (a kernel, a shell, another job's supervisor) may find it dead; the store lets one of them
act. A supervisor of this machine is seen to be dead; of another machine only its heartbeat is seen, and whether it
still changes is measured by our own monotonic clock, so no clock that is set can end a job.
"""

import os
import time
from collections.abc import Mapping

from mlaas_lab import registry
from mlaas_lab.errors import StoreError
from mlaas_lab.executors import Executor
from mlaas_lab.processes import find, identity, sweep
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import ALIVE, Store
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.tasks import Task

LEASE_S = 30.0
"""A supervisor elsewhere whose heartbeat stands still for so long is gone."""


class Recovery:
    """Looks after the jobs of one store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Nothing is looked at yet."""
        self._settings = settings
        self._store = store
        self._beats: dict[tuple[str, int], tuple[int, float]] = {}

    def refresh(self) -> None:
        """Look at every job that should be alive."""
        for job in self._store.jobs(states=ALIVE):
            self.checked(job)

    def checked(self, job: Job) -> Job:
        """The row of `job`, after making sure that what it says is alive is, and that what should go on does."""
        if job.state.ended:
            return job
        try:
            if job.state is JobState.PREEMPTED:
                return self._go_on(job)
            if "pid" not in job.handle:
                return self._launched(job)
            if self._alive(job):
                return job
            return self._lost(job)
        except StoreError as error:
            if error.temporary:
                raise
            # It wrote its end between our two looks, or somebody else saw it first.
            return self._store.job(job.id)

    def launch(self, job: Job, *, seen: Mapping[str, JSON]) -> bool:
        """Start the supervisor of an attempt that has none; False if somebody else does."""
        kept = {"entry": seen["entry"]} if "entry" in seen else {}
        mine: dict[str, JSON] = {**kept, "launcher": identity(os.getpid())}
        if seen != mine and not self._store.swap(job.id, attempt=job.attempt, seen=seen, handle=mine):
            return False
        folder, started = JobFolder(job.folder), False
        before = read_json(folder.job)
        if before is None:
            sweep(job.id)
            self._store.move(job.id, JobState.FAILED, attempt=job.attempt, why=f"its folder was deleted: {job.folder}")
            return True
        now = {**before, "attempt": job.attempt, "spec": dict(job.spec)}
        if now != before:
            write_json(folder.job, now)
        try:
            handle = _executor(job).launch(folder, mark=f"{job.id}.{job.attempt}")
            started = True
        finally:
            if not started:
                self._give_up(job, "it could not be started")
        # The supervisor writes its handle itself; this one stands for it until then, should it never come so far.
        self._store.swap(job.id, attempt=job.attempt, seen=mine, handle={**handle, **kept})
        return True

    def _launched(self, job: Job) -> Job:
        """Between its row and its supervisor: whoever launches it is alive, or its turn passes to us."""
        if job.cancel_requested:
            return self._store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why="cancelled before it started")
        launcher = job.handle.get("launcher")
        if launcher is None or find(launcher) is None:
            self.launch(job, seen=job.handle)
        return self._store.job(job.id)

    def _alive(self, job: Job) -> bool:
        seen = _executor(job).is_alive(job.handle)
        if seen is not None:
            return seen
        key, now = (job.id, job.attempt), time.monotonic()
        beat, since = self._beats.get(key, (-1, now))
        if beat != job.beat:
            self._beats[key] = (job.beat, now)
            return True
        return now - since < LEASE_S

    def _lost(self, job: Job) -> Job:
        """Kill what is left, and say what becomes of the job."""
        executor = _executor(job)
        if executor.outlives and "entry" in job.handle and job.state is JobState.RUNNING and not job.cancel_requested:
            self.launch(job, seen=job.handle)
            return self._store.job(job.id)
        executor.cancel(job.handle)
        sweep(job.id)
        if job.cancel_requested:
            return self._store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why="stopped when asked to")
        task: Task = registry.load("task", job.task)
        if job.state is JobState.RUNNING and not task.resumable:
            return self._store.move(job.id, JobState.FAILED, attempt=job.attempt, why="its worker is gone")
        return self._go_on(self._store.move(job.id, JobState.PREEMPTED, attempt=job.attempt, why="its worker is gone"))

    def _go_on(self, job: Job) -> Job:
        """The next attempt of a preempted job, unless it had its share."""
        if job.cancel_requested:
            return self._store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why="stopped when asked to")
        if job.requeues >= self._settings.requeues:
            why = f"it was interrupted {job.requeues + 1} times; `resume {job.id}` goes on"
            return self._store.move(job.id, JobState.FAILED, attempt=job.attempt, why=why)
        following = self._store.requeue(job.id, attempt=job.attempt, why="goes on after an interruption")
        if following is not None:
            self.launch(following, seen=following.handle)
        return self._store.job(job.id)

    def _give_up(self, job: Job, why: str) -> None:
        now = self._store.job(job.id)
        if now.state is JobState.QUEUED and now.attempt == job.attempt and "pid" not in now.handle:
            self._store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why=why)


def _executor(job: Job) -> Executor:
    found: Executor = registry.load("executor", job.executor)
    return found
