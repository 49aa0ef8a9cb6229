"""One job as a page about it shows it, by its id and nothing else, and asking it to stop.

Its folder is what the store says; what is in there is read, never written.
"""

import json

from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json

MOST_HAPPENED = 100


def details(store: Store, job_id: str) -> dict[str, JSON]:
    """`{id, code, history, summary, verdicts}`: how to make it again, what happened, and what an evaluation found.

    Raises:
        UsageError: if there is no such job.
    """
    job = store.job(job_id)
    result = (read_json(JobFolder(job.folder).outcome) or {}).get("result", {}) if job.state.ended else {}
    history = [dict(zip(("state", "attempt", "at", "why"), one, strict=True)) for one in store.history(job.id)]
    found = {name: result.get(name) or [] for name in ("summary", "verdicts")}
    return {"id": job.id, "code": code(job), "history": history[-MOST_HAPPENED:], **found}


def log(store: Store, job_id: str, lines: int) -> dict[str, JSON]:
    """`{id, lines}`: the end of its log.

    Raises:
        UsageError: if there is no such job.
    """
    return {"id": job_id, "lines": JobFolder(store.job(job_id).folder).tail(lines)}


def stop(store: Store, job_id: str) -> dict[str, JSON]:
    """`{id, state, cancel_requested}` after leaving word for its supervisor; one that has none is cancelled at once.

    Raises:
        UsageError: if there is no such job.
    """
    job = store.job(job_id)
    if not job.state.ended:
        job = store.request_cancel(job_id)
    if job.state is JobState.PREEMPTED or (job.state is JobState.QUEUED and "pid" not in job.handle):
        job = store.move(job_id, JobState.CANCELLED, attempt=job.attempt, why="cancelled before it started")
    return {"id": job.id, "state": str(job.state), "cancel_requested": job.cancel_requested}


def code(job: Job) -> str:
    """The cell that makes this job: JSON is YAML, which is what such a cell's body is."""
    options = {key: value for key, value in job.spec.items() if value is not None}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in options.items()]
    return "\n".join([f"%%mlaas {job.task}", *lines])
