"""`jobs`: what ran, runs and waits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from mlaas_lab import tracking
from mlaas_lab.commands import Command
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.spec import Spec
from mlaas_lab.store.overview import Overview
from mlaas_lab.view import Shown, View
from mlaas_lab.view.job import COUNTED, table
from mlaas_lab.widgets.tabled import Looked

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
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Metrics and results that MLflow lacks, by job id, where it lacks any; past `COUNTED` it is at least so many."""

    live: Callable[[], Looked] | None = None
    """What a live table of them stands on; None: they are of a state, which the next look would contradict."""

    def view(self) -> View:
        """One row a job."""
        return table(self.jobs, self.waiting)

    def looked(self) -> Looked | None:
        """What a live table of them stands on, if there are any and they may change."""
        return self.live() if self.live is not None and self.jobs else None

    def as_json(self) -> JSON:
        """`{jobs: [{id, task, name, state, progress, created_at, run_id, error, undelivered}]}`."""
        rows = [(job, asdict(job)) for job in self.jobs]
        return {
            "jobs": [
                {**{key: row[key] for key in FIELDS}, "undelivered": self.waiting.get(job.id, 0)} for job, row in rows
            ]
        }


def _run(args: Jobs, lab: Lab) -> JobList:
    states = [args.state] if args.state else None
    found = lab.jobs.every(states=states, task=args.task, limit=args.limit)
    waiting = {job.id: tracking.waits(job, most=COUNTED) for job in found}
    live = None if args.state else partial(_looked, args, lab, found)
    return JobList(found, {job_id: n for job_id, n in waiting.items() if n}, live)


def _looked(args: Jobs, lab: Lab, found: Sequence[Job]) -> Looked:
    task = ["--task", args.task] if args.task else []
    limit = [] if args.limit == Jobs().limit else ["--limit", str(args.limit)]
    return Looked(
        jobs=found,
        store=lab.store,
        overview=Overview(lab.settings.store_path),
        stop=lab.jobs.cancel,
        wanted=lambda job: args.task in (None, job.task),
        words=["jobs", *task, *limit],
    )


command = Command(args=Jobs, run=_run, examples=("jobs", "jobs --state running"))
