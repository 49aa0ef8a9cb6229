"""`jobs`: what ran, runs and waits."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mlaas_lab.commands import Command
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.spec import Spec
from mlaas_lab.view import Shown, View
from mlaas_lab.view.job import table

FIELDS = ("id", "task", "name", "state", "progress", "created_at", "run_id", "error")


class Jobs(Spec):
    """List jobs, newest first."""

    state: JobState | None = None
    """Only those in this state."""
    task: str | None = None
    """Only those of this task."""
    limit: int = 50
    """At most this many; 0 means all."""


@dataclass(frozen=True)
class JobList(Shown):
    """Jobs as they stood when the command ran."""

    jobs: Sequence[Job]

    def view(self) -> View:
        """One row a job."""
        return table(self.jobs)

    def as_json(self) -> JSON:
        """`{jobs: [{id, task, name, state, progress, created_at, run_id, error}]}`."""
        return {"jobs": [{key: asdict(job)[key] for key in FIELDS} for job in self.jobs]}


def _run(args: Jobs, lab: Lab) -> JobList:
    states = [args.state] if args.state else None
    return JobList(lab.jobs.every(states=states, task=args.task, limit=args.limit))


command = Command(args=Jobs, run=_run, examples=("jobs", "jobs --state running"))
