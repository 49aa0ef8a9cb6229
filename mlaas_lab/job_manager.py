"""All jobs of a lab: submitted, listed, resumed, cancelled, refreshed.

A job is a folder and a row; this file makes both and hands the folder to an executor. It knows no task by name and
keeps nothing in memory: a new kernel sees the same jobs.
"""

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlaas_lab import references, registry
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.processes import identity
from mlaas_lab.recovery import Recovery
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks import Task


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
