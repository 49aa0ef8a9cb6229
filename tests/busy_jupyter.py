"""A real Jupyter server with many jobs in its store, asked for everything."""

import json
from contextlib import closing
from pathlib import Path

from made_jobs import made
from served_jupyter import JupyterServer

from mlaas_lab.schema import Progress
from mlaas_lab.store import Store, rows


def news(socket, until, within_s=20):
    """Messages up to the one for which `until` is true."""
    socket.settimeout(within_s)
    while True:
        message = json.loads(socket.recv())
        if until(message):
            return message


def states(message):
    """By the ids of its jobs."""
    return {job["id"]: job["state"] for job in message["jobs"]}


def filled(path: Path, jobs: int) -> None:
    """A store of so many jobs, each with progress."""
    path.parent.mkdir(parents=True)
    with closing(Store(path)) as store:
        store.add(made("b0"))
        with store._db.write() as db:
            for n in range(1, jobs):
                job = made(f"b{n}", name=f"job number {n}", progress=Progress(n=n, total=1000, at=1.0, rate=2.0))
                values = rows.columns(job)
                db.execute(
                    f"insert into jobs ({','.join(values)}) values ({','.join('?' * len(values))})", (*values.values(),)
                )


def busy(folder: Path, jobs: int, **how: str) -> dict:
    """What the server wrote down: `touched`, the threads that read; `longest_s`, the loop's longest work on one thing."""
    filled(folder / "data" / "store.sqlite3", jobs)
    (folder / "server").mkdir()
    server = JupyterServer(folder / "server", folder / "data", **how)
    try:
        with closing(server.watch()) as socket:
            assert len(news(socket, lambda message: message["full"])["jobs"]) == jobs
            for path in ("jobs", "endpoints", "spend", "jobs/b0", "jobs/b0/log"):
                assert server.get(path)[0] == 200
            assert server.get("jobs/b0/cancel", method="POST")[0] == 200
            news(socket, lambda message: "b0" in states(message))
    finally:
        notes = server.close()
    return notes
