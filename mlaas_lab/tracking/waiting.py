"""How much of a job MLflow does not have: what a table of jobs, a shell's exit status and `doctor` say of an outage."""

import time

from filelock import FileLock, Timeout

from mlaas_lab import registry
from mlaas_lab.schema import Job
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking.outbox import LOCK, TRACES, Delivered, undelivered

LATE_S = 30.0
"""What a running job wrote so recently is on its way and waits for nobody."""


def waits(job: Job, *, most: int | None = None) -> int:
    """Metrics of `job`, and its end, that its supervisor could not deliver; 0 for a job that has no MLflow run.

    What is drawn again and again need not count a long outage to its end: past `most` it stops.
    """
    folder = JobFolder(job.folder)
    if not folder.events.exists() or not registry.load("task", job.task).tracked:
        return 0
    if not job.state.ended and not _late(folder):
        return 0
    return undelivered(folder, most=most)


def lacks_traces(folder: JobFolder, settings: Settings) -> bool:
    """Whether the run in `folder` is closed without the traces it was to have, and nobody is sending them now."""
    state = Delivered.read(folder)
    if not settings.traces or not state.finished or state.run_id is None or state.refused or TRACES in state.done:
        return False
    result = (read_json(folder.outcome) or {}).get("result") or {}
    if not result.get("summary") or not folder.records.exists():
        return False
    try:
        with FileLock(folder.path / LOCK, timeout=0):
            return True
    except Timeout:
        return False


def warning(job: Job) -> str | None:
    """One line about what MLflow lacks of a job that ended; None when it has everything."""
    waiting = waits(job) if job.state.ended else 0
    return f"job {job.id}: {words(waiting)}; `mlaas sync` delivers." if waiting else None


def words(n: int) -> str:
    """`812 metrics and results wait for MLflow`."""
    return "1 metric or result waits for MLflow" if n == 1 else f"{n:,} metrics and results wait for MLflow"


def _late(folder: JobFolder) -> bool:
    lines = (line for _, line in folder.events_from(Delivered.read(folder).offset) if line["event"] == "metrics")
    oldest = next(lines, None)
    return oldest is not None and time.time() - float(oldest["at"]) > LATE_S
