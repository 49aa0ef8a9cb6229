"""Taking a job out of the store: all rows that speak of it, or none."""

import sqlite3

BELONGINGS = ("events", "endpoints", "leases", "queue")
"""Tables with a `job_id`."""


def forget(db: sqlite3.Connection, job_id: str) -> None:
    """Delete every row of a job, in the caller's transaction."""
    for table in BELONGINGS:
        db.execute(f"delete from {table} where job_id=?", (job_id,))  # noqa: S608 - a name of ours
    db.execute("delete from jobs where id=?", (job_id,))
