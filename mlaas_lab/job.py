"""Jobs as a user has them: submit, list, wait, cancel, refresh.

A job is a folder and a row; this file makes both and hands the folder to an executor. It knows no task by name and
keeps nothing in memory: a new kernel sees the same jobs.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mlaas_lab import references, registry, tracking
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.processes import find, identity
from mlaas_lab.recovery import Recovery
from mlaas_lab.schema import JSON, Job, JobState, Work
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tasks import Task
from mlaas_lab.view import Shown, View, endpoints
from mlaas_lab.view.job import COUNTED, card, line

LOG_LINES = 12


class JobHandle(Shown):
    """One job: what it is, where it stands, and how to wait for it, also from another kernel."""

    def __init__(self, manager: "JobManager", job: Job) -> None:
        """Made by `JobManager`."""
        self.manager = manager
        self._job = job

    @property
    def id(self) -> str:
        """Its id in the store."""
        return self._job.id

    @property
    def job(self) -> Job:
        """Its row, read now: one that had ended may have been resumed."""
        self._job = self.manager.current(self._job.id)
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
        if self._serves:
            return {"endpoints": self.serving}
        return dict((read_json(self.folder.outcome) or {}).get("result", {}))

    @property
    def serving(self) -> list[dict[str, JSON]]:
        """The endpoints of a service that runs; none of any other job."""
        return self.manager.endpoints_of(self._job.id) if self._serves else []

    @property
    def _serves(self) -> bool:
        return self._job.ready and not self._job.state.ended

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
            time.sleep(self.manager.settings.report_every_s)
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
            raise JobError(
                f"job {self.id} ({self._job.task}) was cancelled.", next=f"It goes on with: resume {self.id}"
            )
        if self.state is JobState.FAILED:
            tail = "\n".join(f"  | {line}" for line in self.folder.tail(LOG_LINES))
            message = f"job {self.id} ({self._job.task}) failed: {self._job.error}"
            raise JobError(message + (f"\n{tail}\n" if tail else ""), next=f"All of it: logs {self.id}")

    def result(self, timeout: float | None = None) -> dict[str, JSON]:
        """Wait, then what the job returned."""
        return self.wait(timeout).outcome

    def cancel(self) -> "JobHandle":
        """Ask the job to stop; it keeps what is worth keeping."""
        return self.manager.cancel(self.id)

    def resume(self) -> "JobHandle":
        """Go on where it was, in a new attempt; a job that is alive or succeeded stays as it is.

        Raises:
            UsageError: if its files are gone.
        """
        self.manager.resume(self.id)
        return self

    def simulate_preemption(self) -> "JobHandle":
        """Take the machine away from the running job as a cluster would: SIGTERM to its supervisor.

        The job keeps what is worth keeping and is then `preempted`; whoever looks at it next has it go on.

        Raises:
            JobError: if it does not run on this machine.
        """
        handle = self.job.handle
        if (process := find(handle)) is None or self._job.state is not JobState.RUNNING:
            raise JobError(f"job {self.id} is {self._job.state} and cannot be preempted.")
        process.terminate()
        while find(handle) is not None:
            time.sleep(0.05)
        self._job = self.manager.store.job(self.id)
        return self

    def logs(self, lines: int = 50) -> list[str]:
        """The last lines it wrote."""
        return self.folder.tail(lines)

    def __await__(self) -> Generator[Any, None, "JobHandle"]:
        return asyncio.to_thread(self.wait).__await__()

    @property
    def warning(self) -> str | None:
        """What is not as it should be although the job ended: MLflow lacks some of it."""
        return tracking.warning(self._job)

    @property
    def exit_code(self) -> int:
        """1 while there is a warning: a script must notice."""
        return int(self.warning is not None)

    def view(self) -> View:
        """A card: state, progress, and the results its task draws."""
        job = self.job
        task: Task = registry.load("task", job.task)
        drawn = registry.resolve(task.view)(self.folder) if task.view else []
        log = self.folder.tail(LOG_LINES) if job.state is JobState.FAILED else []
        serves = [endpoints.view(serving, self._asked_elsewhere(serving))] if (serving := self.serving) else []
        return card(job, results=[*serves, *drawn], log=log, waiting=tracking.waits(job, most=COUNTED))

    def _asked_elsewhere(self, serving: Sequence[Mapping[str, JSON]]) -> list[endpoints.Asked]:
        from mlaas_lab import hosted  # a kernel that comes back reads no price lists

        work = next((Work(**one["work"]) for one in serving if one["work"]), None)
        return hosted.asked(self.manager.store, self.manager.settings, work)

    def line(self) -> str:
        """Where it stands, for a terminal that waits."""
        return line(self.job)

    def as_json(self) -> JSON:
        """`{job_id, state, run_id, undelivered}` and what the job returned."""
        failed = {"error": job.error} if (job := self.job).error else {}
        known = {"state": str(job.state), "run_id": job.run_id, "undelivered": tracking.waits(job)}
        return {"job_id": job.id, **known, **failed, **self.outcome}


class JobManager:
    """Submits jobs, and keeps the store honest about those that died."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Nothing is read or started yet."""
        self.settings = settings
        self.store = store
        self._recovery = Recovery(settings, store)

    def submit(
        self,
        task: str,
        spec: Spec,
        *,
        force: bool = False,
        executor: str | None = None,
        launch: Mapping[str, JSON] | None = None,
    ) -> JobHandle:
        """Launch a job, or return the one that already does or did exactly this.

        Args:
            task: registered name.
            spec: its options; the content of data and models it names counts, its `name` does not.
            force: repeat it anyway.
            executor: how to launch it; by default what the settings say.
            launch: what the job may have and where: `gpus`, `cpus`, `priority`, `ray_address`.

        Raises:
            UsageError: if the Spec names something that is not there, or what another job answers to.
        """
        registry.load("executor", executor or self.settings.executor)
        found: Task = registry.load("task", task)
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
            claims=tuple(found.claims(spec)),
            # Until its supervisor is there, the job is as alive as whoever launches it.
            handle={"launcher": identity(os.getpid())},
        )
        asked = {key: value for key, value in (launch or {}).items() if value is not None}
        folder.make(job, launch=asked, settings=self.settings.model_dump(mode="json"))
        kept = self._kept(job, folder, force=force or found.fresh(spec))
        if kept.id == job_id:
            self._recovery.launch(job, seen=job.handle)
        return JobHandle(self, self.store.job(kept.id))

    def resume(self, text: str, *, again: bool = False, spec: Mapping[str, JSON] | None = None) -> JobHandle:
        """A new attempt of a job that ended badly, where it was; `again`: or well; `spec`: its options from now on.

        Raises:
            UsageError: if there is none of that name, or its files are gone.
        """
        job = self.current(self.store.find(text).id)
        if job.state.ended and (again or job.state is not JobState.SUCCEEDED):
            if not JobFolder(job.folder).job.exists():
                raise UsageError(f"the files of job {job.id} are gone.", next="Submit it again to start anew.")
            if following := self.store.requeue(job.id, attempt=job.attempt, why="resumed", by_hand=True, spec=spec):
                self._recovery.launch(following, seen=following.handle)
        return JobHandle(self, self.store.job(job.id))

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
        return self._recovery.checked(self.store.job(job_id))

    def refresh(self) -> None:
        """Find out which jobs died; those that can go on do."""
        self._recovery.refresh()

    def cancel(self, text: str) -> JobHandle:
        """Ask a job to stop; one that nobody supervises yet is cancelled at once."""
        job = self.store.request_cancel(self.store.find(text).id)
        if job.state is JobState.QUEUED and "pid" not in job.handle:
            job = self.store.move(job.id, JobState.CANCELLED, attempt=job.attempt, why="cancelled before it started")
        return JobHandle(self, self.current(job.id))

    def endpoints_of(self, job_id: str) -> list[dict[str, JSON]]:
        """What a running job serves, as the command prints it."""
        key = {"key_file": str(path)} if (path := JobFolder(self.settings.jobs_dir / job_id).key).exists() else {}
        served = [asdict(one) for one in self.store.endpoints() if one.job_id == job_id]
        return [{n: value for n, value in one.items() if n not in ("job_id", "source")} | key for one in served]

    def _kept(self, job: Job, folder: JobFolder, *, force: bool) -> Job:
        """`job`, or the one that did the same; in that case, or if it may not be, nothing of it is left."""
        kept = None
        try:
            kept = self.store.add(job, force=force)
            if kept.state is JobState.SUCCEEDED and not JobFolder(kept.folder).complete:
                kept = self.store.add(job, force=True)
            return kept
        finally:
            if kept is None or kept.id != job.id:
                folder.discard()
