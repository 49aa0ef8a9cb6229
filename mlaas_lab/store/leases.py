"""Who holds which part of this machine, and who waits: rows around the arithmetic of `resources`.

Look and take are one transaction, so that nothing is given twice.
"""

import json
import sqlite3
from dataclasses import asdict

from mlaas_lab.resources import Blocked, Lease, Machine, Needs, Waiting, arbitrate


def grant(db: sqlite3.Connection, job_id: str, needs: Needs, machine: Machine) -> list[Lease] | Blocked:
    """What `job_id` holds from now on, or why it must wait; it keeps its place in the queue until then."""
    db.execute(
        "insert into queue (job_id, needs, priority) values (?,?,?) on conflict (job_id) do nothing",
        (job_id, json.dumps(asdict(needs)), needs.priority),
    )
    rows = db.execute("select job_id, needs from queue order by priority desc, seq").fetchall()
    order = [Waiting(job_id=row["job_id"], needs=Needs(**json.loads(row["needs"]))) for row in rows]
    ahead = order[: next(place for place, one in enumerate(order) if one.job_id == job_id)]
    given = arbitrate(job_id, needs, machine, held(db), ahead)
    if isinstance(given, list):
        rows_given = [(lease.job_id, lease.resource, lease.amount) for lease in given]
        db.executemany("insert into leases (job_id, resource, amount) values (?,?,?)", rows_given)
        db.execute("delete from queue where job_id=?", (job_id,))
    return given


def held(db: sqlite3.Connection) -> list[Lease]:
    """Everything that jobs hold."""
    return [Lease(**dict(row)) for row in db.execute("select job_id, resource, amount from leases").fetchall()]


def release(db: sqlite3.Connection, job_id: str) -> None:
    """Give back what `job_id` holds, and its place in the queue."""
    db.execute("delete from leases where job_id=?", (job_id,))
    db.execute("delete from queue where job_id=?", (job_id,))
