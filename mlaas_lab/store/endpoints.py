"""Servers that jobs announced, as rows: where each is, and how it is doing."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from mlaas_lab.schema import Endpoint, EndpointState, Work

ALIVE = (
    "select e.* from endpoints e join jobs j on j.id=e.job_id where j.state='running'"
    " and coalesce(e.state, '') <> 'stopped' order by j.rowid desc"
)
"""Newest first; one that was stopped alone is gone, although its job runs."""
LASTING = frozenset({"cold_first_token_s", "warm_first_token_s"})
"""Measured by the front, and of more than one start of a server."""
INNER = ("parity", "work")
"""Kept as JSON."""


def write(db: sqlite3.Connection, endpoint: Endpoint) -> None:
    """Put `endpoint` in place of what was known of it; how fast it was before stays, unless it says otherwise."""
    values = asdict(endpoint)
    values |= {name: json.dumps(values[name]) if values[name] else None for name in INNER}
    names, marks = ",".join(values), ",".join("?" * len(values))
    sets = ",".join(
        f"{name}=coalesce(excluded.{name},{name})" if name in LASTING else f"{name}=excluded.{name}" for name in values
    )
    db.execute(
        f"insert into endpoints ({names}) values ({marks}) on conflict (job_id, name) do update set {sets}",  # noqa: S608
        tuple(values.values()),
    )


def note_first_token(
    db: sqlite3.Connection, job_id: str, name: str, *, cold_s: float | None, warm_s: float | None
) -> None:
    """Write how long first tokens took, as far as that is known."""
    db.execute(
        "update endpoints set cold_first_token_s=coalesce(?, cold_first_token_s),"
        " warm_first_token_s=coalesce(?, warm_first_token_s) where job_id=? and name=?",
        (cold_s, warm_s, job_id, name),
    )


def tell(db: sqlite3.Connection, job_id: str, names: Sequence[str], state: EndpointState) -> None:
    """Write how the endpoints of those names are doing."""
    for name in names:
        values = (state, int(state.answers), job_id, name)
        db.execute("update endpoints set state=?, ready=? where job_id=? and name=?", values)


def leave(db: sqlite3.Connection, job_id: str) -> None:
    """Nothing of a job answers any more; what was stopped alone stays stopped, should the job go on."""
    db.execute("update endpoints set ready=0, state=iif(state='stopped', state, null) where job_id=?", (job_id,))


def note_work(db: sqlite3.Connection, job_id: str, work: Work) -> None:
    """Write what the server of a job was last seen to do; all of its endpoints share it."""
    db.execute("update endpoints set work=? where job_id=?", (json.dumps(asdict(work)), job_id))


def read(row: sqlite3.Row) -> Endpoint:
    """The endpoint in `row`."""
    values = dict(row)
    return Endpoint.read({**values, **{name: json.loads(values[name]) if values[name] else None for name in INNER}})
