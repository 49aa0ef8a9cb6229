"""A job's turn on this machine: what it needs, and the wait until nobody else holds it.

The supervisor of each job that waits asks the store for itself; there is no scheduler. It knows nothing of the entry.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict

from mlaas_lab import hardware, registry, resources
from mlaas_lab.recovery import Recovery
from mlaas_lab.resources import THREADS, Blocked, Lease, Needs
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.tasks import Task
from mlaas_lab.view.job import blocked

LOOK_S = 2.0
"""How often whoever waits sees to it that those in the way live: nobody else may be looking."""


class Turn:
    """What one attempt of a job waits for."""

    def __init__(self, job: Mapping[str, JSON], task: Task, settings: Settings, store: Store) -> None:
        """`job` as in job.json; what whoever launched it said goes before what the task says."""
        self._id, self._attempt, self._store = str(job["id"]), int(job["attempt"]), store
        self._machine = hardware.machine(settings)
        self._recovery = Recovery(settings, store)
        self._looked_at, self._said = 0.0, ""
        said = Needs()
        if task.needs:
            spec = task.spec.model_validate(job["spec"])
            said = registry.resolve(task.needs)(spec, settings, self._machine)
        launch = job.get("launch") or {}
        over = {"threads": launch.get("cpus"), "gpus": launch.get("gpus"), "priority": launch.get("priority")}
        self._needs = Needs(**{**asdict(said), **{key: value for key, value in over.items() if value is not None}})

    @property
    def never(self) -> str | None:
        """Why this machine can never give what is needed; None if it can."""
        return resources.impossible(self._needs, self._machine)

    def ask(self) -> list[Lease] | None:
        """What the job needs, from now on its own; None while it must wait, and the store says for whom."""
        if self._needs.nothing:
            return []
        given = self._store.grant(self._id, self._needs, self._machine, attempt=self._attempt)
        if isinstance(given, list):
            return given
        if (words := self._words(given)) != self._said:
            self._store.update(self._id, attempt=self._attempt, waiting=words)
            self._said = words
        if time.monotonic() - self._looked_at > LOOK_S:
            self._recovery.refresh()
            self._looked_at = time.monotonic()
        return None

    def devices(self, leases: list[Lease]) -> dict[str, str]:
        """Variables by which an entry sees the accelerators it leased, and no other."""
        if not self._machine.gpus:
            return {}
        seen = [lease.resource.partition(":")[2] for lease in leases if lease.resource != THREADS]
        return {"CUDA_VISIBLE_DEVICES": ",".join(seen)}

    def _words(self, given: Blocked) -> str:
        names = {lease.job_id for lease in given.by} | set(given.behind)
        return blocked(given, {job_id: self._store.job(job_id).name for job_id in names})
