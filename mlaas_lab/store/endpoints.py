"""Servers that jobs announced, as rows: where each is, and how it is doing."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from mlaas_lab.schema import Endpoint, EndpointState

ALIVE = (
    "select e.* from endpoints e join jobs j on j.id=e.job_id where j.state='running'"
    " and coalesce(e.state, '') <> 'stopped' order by j.rowid desc"
)
"""Newest first; one that was stopped alone is gone, although its job runs."""


def write(db: sqlite3.Connection, endpoint: Endpoint) -> None:
    """Put `endpoint` in place of what was known of it."""
    values = asdict(endpoint)
    names, marks = ",".join(values), ",".join("?" * len(values))
    db.execute(f"insert or replace into endpoints ({names}) values ({marks})", tuple(values.values()))  # noqa: S608


def tell(db: sqlite3.Connection, job_id: str, names: Sequence[str], state: EndpointState) -> None:
    """Write how the endpoints of those names are doing."""
    for name in names:
        values = (state, int(state.answers), job_id, name)
        db.execute("update endpoints set state=?, ready=? where job_id=? and name=?", values)


def read(row: sqlite3.Row) -> Endpoint:
    """The endpoint in `row`."""
    values = dict(row)
    state = EndpointState(values["state"]) if values["state"] else None
    return Endpoint(**{**values, "ready": bool(values["ready"]), "state": state})
