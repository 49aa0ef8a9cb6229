"""Jobs as rows, and rows as jobs."""

import json
import sqlite3
from dataclasses import asdict
from typing import Any

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import Job, JobState, Progress


def stored(value: Any) -> Any:
    """`value` as a column keeps it."""
    if isinstance(value, Progress):
        return json.dumps(asdict(value))
    return json.dumps(value) if isinstance(value, (dict, tuple)) else value


def columns(job: Job) -> dict[str, Any]:
    """The columns of `job`."""
    values = {name: getattr(job, name) for name in job.__dataclass_fields__}
    return {name: json.dumps(value) if name == "spec" else stored(value) for name, value in values.items()}


def job(row: sqlite3.Row) -> Job:
    """The job in `row`.

    Raises:
        StoreError: if the row cannot be read: the disk gave back something else than was written.
    """
    values = dict(row)
    try:
        progress = json.loads(values["progress"]) if values["progress"] else None
        return Job(
            **{
                **values,
                "spec": json.loads(values["spec"]),
                "state": JobState(values["state"]),
                "progress": Progress(**progress) if progress else None,
                "ready": bool(values["ready"]),
                "handle": json.loads(values["handle"]),
                "cancel_requested": bool(values["cancel_requested"]),
                "claims": tuple(json.loads(values["claims"] or "[]")),
            }
        )
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"the row of job {values['id']!r} is damaged: {error}.", next="`doctor` names the store and its backups."
        ) from None


def found(db: sqlite3.Connection, job_id: str) -> Job:
    """The job of that id, as a transaction sees it.

    Raises:
        StoreError: if there is none.
    """
    row = db.execute("select * from jobs where id=?", (job_id,)).fetchone()
    if row is None:
        raise StoreError(f"job {job_id} is not in the store.")
    return job(row)


def fenced(db: sqlite3.Connection, job_id: str, attempt: int) -> Job:
    """The same, for its attempt of that number.

    Raises:
        StoreError: if another has replaced it.
    """
    one = found(db, job_id)
    if one.attempt != attempt:
        raise StoreError(f"attempt {attempt} of job {job_id} was replaced by attempt {one.attempt}.")
    return one
