"""Names that one job alone may answer to while it lives: of two jobs that want one, the second is refused.

Looked at and taken in the caller's transaction, so there is no moment between both.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from mlaas_lab.errors import UsageError
from mlaas_lab.store.history import ALIVE


def check(db: sqlite3.Connection, job_id: str, names: Sequence[str]) -> None:
    """Return when no other job that lives answers to one of `names`.

    Raises:
        UsageError: for the first of them that is taken, with who has it.
    """
    marks, states = ",".join("?" * len(names)), ",".join("?" * len(ALIVE))
    found = db.execute(
        "select j.id, c.value from jobs j, json_each(j.claims) c"  # noqa: S608 - marks alone
        f" where j.id<>? and j.state in ({states}) and c.value in ({marks}) order by j.rowid",
        (job_id, *ALIVE, *names),
    ).fetchone()
    if found:
        by, name = found
        raise UsageError(
            f"job {by} serves an endpoint {name!r} already, and a name must mean one model.",
            next=f"Give this one another name (--name), or stop that one: cancel {by}",
        )


def change(db: sqlite3.Connection, job_id: str, *, more: Iterable[str] = (), less: Iterable[str] = ()) -> list[str]:
    """Have a job answer to `more` names, and no longer to `less`: those that are new.

    Raises:
        UsageError: if another job has one of them; then nothing changes.
    """
    row = db.execute("select claims from jobs where id=?", (job_id,)).fetchone()
    has = json.loads(row[0] or "[]") if row else []
    new = [name for name in more if name not in has]
    check(db, job_id, new)
    gone = set(less)
    kept = [name for name in [*has, *new] if name not in gone]
    db.execute("update jobs set claims=? where id=?", (json.dumps(kept), job_id))
    return new
