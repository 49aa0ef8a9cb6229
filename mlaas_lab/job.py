"""Jobs as a user has them: submit, list, wait, cancel, refresh.

A job is a folder and a row; this file makes both and hands the folder to an executor. It knows no task by name and
keeps nothing in memory: a new kernel sees the same jobs.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlaas_lab import references, registry
from mlaas_lab.errors import JobError, StoreError
from mlaas_lab.executors import Executor
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store import ALIVE, Store
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.tasks import Task
from mlaas_lab.view import Shown, View
from mlaas_lab.view.job import card, line

LAUNCH_S = 60.0
"""A job that is queued for longer than this without a worker was never launched."""
LOG_LINES = 12


class JobHandle(Shown):
    """One job: what it is, where it stands, and how to wait for it, also from another kernel."""

    def __init__(self, manager: "JobManager", job: Job) -> None:
        """Made by `JobManager`."""
        self._manager = manager
        self._job = job

    @property
    def id(self) -> str:
        """Its id in the store."""
        return self._job.id

    @property
    def job(self) -> Job:
        """Its row, read now."""
        if not self._job.state.ended:
            self._job = self._manager.current(self._job.id)
        return self._job

    @property
    def state(self) -> JobState:
        """Where it stands now."""
        return self.job.state

    @property
    def folder(self) -> JobFolder:
        """Its files."""
        return JobFolder(self._job.folder)

    @property
    def outcome(self) -> dict[str, JSON]:
        """What its entry returned; of a service that runs, what it serves."""
        kept = read_json(self.folder.outcome) or {}
        if self._job.ready and not self._job.state.ended:
            return {"endpoints": self._manager.endpoints_of(self._job.id)}
        return dict(kept.get("result", {}))

    def wait(self, timeout: float | None = None, *, watch: Callable[["JobHandle"], None] | None = None) -> "JobHandle":
        """Wait until the job has ended, or a service answers; `watch` is called a few times a second.

        Raises:
            JobError: if it failed, with the tail of its log, or was cancelled.
            TimeoutError: after `timeout` seconds; the job goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.settled:
            if watch is not None:
                watch(self)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is {self._job.state} after {timeout} s; it goes on.")
            time.sleep(self._manager.settings.report_every_s)
        if watch is not None:
            watch(self)
        self.check()
        return self

    def wait_end(self, within_s: float) -> bool:
        """Wait until it has ended, failed or not; False if it has not within that time."""
        deadline = time.monotonic() + within_s
        while not self.state.ended and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.state.ended

    @property
    def settled(self) -> bool:
        """Nothing is left to wait for."""
        return self.job.state.ended or self._job.ready

    def check(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            JobError: if the job failed, with its last log lines and the next command, or was cancelled.
        """
        if self.state is JobState.CANCELLED:
            raise JobError(f"job {self.id} ({self._job.task}) was cancelled.", next="Submit it again to start anew.")
        if self.state is JobState.FAILED:
            tail = "\n".join(f"  | {line}" for line in self.folder.tail(LOG_LINES))
            message = f"job {self.id} ({self._job.task}) failed: {self._job.error}"
            raise JobError(message + (f"\n{tail}\n" if tail else ""), next=f"All of it: logs {self.id}")

    def result(self, timeout: float | None = None) -> dict[str, JSON]:
        """Wait, then what the job returned."""
        return self.wait(timeout).outcome

    def cancel(self) -> "JobHandle":
        """Ask the job to stop; it keeps what is worth keeping."""
        return self._manager.cancel(self.id)

    def logs(self, lines: int = 50) -> list[str]:
        """The last lines it wrote."""
        return self.folder.tail(lines)

    def __await__(self) -> Generator[Any, None, "JobHandle"]:
        return asyncio.to_thread(self.wait).__await__()

    def view(self) -> View:
        """A card: state, progress, and the results its task draws."""
        job = self.job
        task: Task = registry.load("task", job.task)
        drawn = registry.resolve(task.view)(self.folder) if task.view else []
        log = self.folder.tail(LOG_LINES) if job.state is JobState.FAILED else []
        return card(job, results=drawn, outcome=self.outcome, log=log)

    def line(self) -> str:
        """Where it stands, for a terminal that waits."""
        return line(self.job)

    def as_json(self) -> JSON:
        """`{job_id, state, run_id}` and what the job returned."""
        job = self.job
        failed = {"error": job.error} if job.error else {}
        return {"job_id": job.id, "state": str(job.state), "run_id": job.run_id, **failed, **self.outcome}


class JobManager:
    """Submits jobs, and keeps the store honest about those that died."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Nothing is read or started yet."""
        self.settings = settings
        self.store = store

    def submit(self, task: str, spec: Spec, *, force: bool = False, executor: str | None = None) -> JobHandle:
        """Launch a job, or return the one that already does or did exactly this.

        Args:
            task: registered name.
            spec: its options; the content of data and models it names counts, its `name` does not.
            force: repeat it anyway.
            executor: how to launch it; by default what the settings say.

        Raises:
            UsageError: if the Spec names something that is not there.
        """
        launcher: Executor = registry.load("executor", executor or self.settings.executor)
        self.refresh()
        job_id = secrets.token_hex(4)
        folder = JobFolder(self.settings.jobs_dir / job_id)
        options_json = spec.model_dump(mode="json")
        job = Job(
            id=job_id,
            task=task,
            name=options_json.get("name") or task,
            spec=options_json,
            spec_hash=references.spec_hash(task, spec, self.settings, self.store),
            state=JobState.QUEUED,
            attempt=1,
            executor=executor or self.settings.executor,
            folder=str(folder.path),
            created_at=time.time(),
        )
        folder.path.mkdir(parents=True, mode=0o700)
        self._write(job, folder)
        found: Task = registry.load("task", task)
        kept = self.store.add(job, force=force or found.fresh(spec))
        if kept.state is JobState.SUCCEEDED and not _still_there(JobFolder(kept.folder)):
            kept = self.store.add(job, force=True)
        if kept.id != job_id:
            folder.job.unlink()
            folder.path.rmdir()
            return JobHandle(self, kept)
        handle = launcher.launch(folder)
        if handle and not self.store.job(job_id).handle:
            self.store.update(job_id, attempt=1, handle=handle)
        return JobHandle(self, self.store.job(job_id))

    def get(self, text: str) -> JobHandle:
        """A job by id, unique prefix or name.

        Raises:
            UsageError: if none or several fit.
        """
        return JobHandle(self, self.current(self.store.find(text).id))

    def every(self, **which: Any) -> list[Job]:
        """Jobs, newest first, with the dead found out."""
        self.refresh()
        return self.store.jobs(**which)

    def current(self, job_id: str) -> Job:
        """The row of a job, after making sure that what it says is alive is."""
        job = self.store.job(job_id)
        return job if job.state.ended else self._checked(job)

    def refresh(self) -> None:
        """Mark jobs whose worker is gone as failed."""
        for job in self.store.jobs(states=ALIVE):
            self._checked(job)

    def cancel(self, text: str) -> JobHandle:
        """Ask a job to stop; one that was never launched is cancelled at once."""
        job = self.store.request_cancel(self.store.find(text).id)
        if job.state is JobState.QUEUED and not job.handle:
            job = self.store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why="cancelled before it started")
        return JobHandle(self, job)

    def endpoints_of(self, job_id: str) -> list[dict[str, JSON]]:
        """What a running job serves, as the command prints it."""
        shown = ("name", "base_url", "model", "engine", "ready")
        return [
            {key: value for key, value in asdict(endpoint).items() if key in shown}
            for endpoint in self.store.endpoints()
            if endpoint.job_id == job_id
        ]

    def _write(self, job: Job, folder: JobFolder) -> None:
        kept = ("id", "task", "name", "spec", "spec_hash", "attempt", "created_at", "executor")
        row = asdict(job)
        write_json(folder.job, {**{key: row[key] for key in kept}, "settings": self.settings.model_dump(mode="json")})

    def _checked(self, job: Job) -> Job:
        launcher: Executor = registry.load("executor", job.executor)
        if job.handle and not launcher.is_alive(job.handle):
            launcher.cancel(job.handle)
            return self._died(job, "its worker is gone")
        if not job.handle and job.executor != "inline" and time.time() - job.created_at > LAUNCH_S:
            return self._died(job, "it was never launched")
        return job

    def _died(self, job: Job, why: str) -> Job:
        state = JobState.CANCELLED if job.cancel_requested else JobState.FAILED
        try:
            return self.store.move(job.id, state, attempt=job.attempt, why=why)
        except StoreError:
            # It wrote its end between our two looks, or another kernel saw it first.
            return self.store.job(job.id)


def _still_there(folder: JobFolder) -> bool:
    """Whether all that a job made is still on disk."""
    outcome = read_json(folder.outcome)
    if outcome is None:
        return False
    made = [*outcome["artifacts"], (outcome["adapter"] or {}).get("path"), outcome["result"].get("path")]
    return all(Path(path).exists() for path in made if path)
