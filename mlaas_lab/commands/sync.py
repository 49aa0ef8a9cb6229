"""`%mlaas sync`: send to MLflow what could not be sent when it was logged. Nothing is sent twice."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mlaas_lab import registry, tracking
from mlaas_lab.commands import Command
from mlaas_lab.errors import TrackingError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tracking import Delivered
from mlaas_lab.view import Badge, Column, Shown, Table, Tone, View

PATIENCE_S = 10.0
"""How long a request may go unanswered: somebody waits, and may interrupt."""


class Sync(Spec):
    """Send what jobs have logged and MLflow does not have yet, such as after it was away."""

    job: JobId = Arg("")
    """Only this job; without it, all of them."""
    again: bool = False
    """Send that job anew from its first line, to a new run if the old one was deleted."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one job."""

    job_id: str
    name: str
    run_id: str | None
    sent: int
    """Metrics sent now."""
    waiting: int
    """Metrics, and the job's end, that still wait."""
    parked: tuple[str, ...]
    """What MLflow refused for good, with its reason."""
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Synced(Shown):
    """What was sent, and what still waits."""

    rows: Sequence[Row]

    @property
    def exit_code(self) -> int:
        """Not clean while something waits that should not."""
        return int(any(row.error for row in self.rows))

    def view(self) -> View:
        """One row per job that had something to send."""
        if not self.rows:
            return View(title="sync", summary="Nothing waits: MLflow has everything.")
        counts = [Column(title=title, align="right") for title in ("sent", "waiting", "refused")]
        rows = [
            (row.job_id, row.name, row.run_id, row.sent, row.waiting, len(row.parked), _state(row)) for row in self.rows
        ]
        notes = [*dict.fromkeys(row.error for row in self.rows if row.error)]
        notes += [f"{row.job_id}: {what}" for row in self.rows for what in row.parked]
        return View(title="sync", table=Table(columns=["job", "name", "run", *counts, "state"], rows=rows), notes=notes)

    def as_json(self) -> JSON:
        """`{ok, waiting, jobs:[{job_id, name, run_id, sent, waiting, parked, error}]}`."""
        waiting = sum(row.waiting for row in self.rows)
        return {"ok": not self.exit_code, "waiting": waiting, "jobs": [asdict(row) for row in self.rows]}


def _run(args: Sync, lab: Lab) -> Synced:
    if args.again and not args.job:
        raise UsageError("--again needs a job: it is sent anew as a whole.", next="`jobs` lists them.")
    jobs = [lab.store.find(args.job)] if args.job else lab.store.jobs()
    if args.again:
        tracking.forget(JobFolder(jobs[0].folder))
    open_jobs = [job for job in jobs if args.job or _waits(job, lab.settings)]
    away = tracking.trouble(lab.settings) if open_jobs else None
    return Synced(rows=[_deliver(job, lab.settings, away) for job in open_jobs])


def _waits(job: Job, settings: Settings) -> bool:
    """Whether MLflow lacks something of `job`; one that runs has a supervisor that sends for it."""
    folder = JobFolder(job.folder)
    if not folder.job.exists() or not registry.load("task", job.task).tracked:
        return False
    state = tracking.delivered(folder)
    complete = state.finished and state.attempt >= job.attempt
    if not job.state.ended:
        return tracking.undelivered(folder) > 0
    # What became known after its end waits too, such as how far a judge agrees with people.
    return not complete or tracking.undelivered(folder, most=0) > 0 or tracking.lacks_traces(folder, settings)


def _deliver(job: Job, settings: Settings, away: str | None) -> Row:
    folder = JobFolder(job.folder)
    before, error = tracking.delivered(folder).sent, away
    if away is None:
        try:
            delivery = tracking.Delivery(folder, settings, timeout_s=PATIENCE_S)
            error = (delivery.finish(job.state) if job.state.ended else delivery.drain()).refused
            delivery.illustrate()
            tracking.deliver_decisions(folder, settings, timeout_s=PATIENCE_S)
        except TrackingError as trouble:
            error = str(trouble)
    return _row(job, tracking.delivered(folder), before, error)


def _row(job: Job, state: Delivered, before: int, error: str | None) -> Row:
    waiting = tracking.undelivered(JobFolder(job.folder))
    return Row(
        job_id=job.id,
        name=job.name,
        run_id=state.run_id,
        sent=state.sent - before,
        waiting=waiting,
        parked=tuple(f"{one.what}: {one.reason}" for one in state.parked),
        error=error,
    )


def _state(row: Row) -> Badge:
    if row.error:
        return Badge(text="waits", tone=Tone.BAD)
    if row.parked:
        return Badge(text="sent, some refused", tone=Tone.MILD)
    return Badge(text="sent", tone=Tone.GOOD)


command = Command(args=Sync, run=_run, examples=("sync", "sync my-job --again"))
