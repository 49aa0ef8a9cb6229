"""An entry on another machine: `python -m mlaas_lab.remote` in the folder that travelled there.

It differs from an entry here in where things lie: the job and its data are in the parcel, files go to a storage that
both sides see, lines to a file there and from it to standard output. It has no store but an empty one of its own. It
ends at once when a newer attempt has taken its place in the storage, also where nobody can reach it any more.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlaas_lab import context
from mlaas_lab.cluster.away import Away
from mlaas_lab.cluster.lines import Departures
from mlaas_lab.cluster.parcel import JOB
from mlaas_lab.executors import LOST
from mlaas_lab.schema import JSON, Endpoint, Job, JobState
from mlaas_lab.store import Store
from mlaas_lab.store.folder import read_json, write_json

LOOK_S = 0.2
TENURE_S = 1.0
"""How often the storage is asked whose turn it is."""


def main() -> int:
    """Run the entry of the job in this folder; its exit status."""
    parcel = Path.cwd()
    job = read_json(parcel / JOB)
    remote = job["remote"]
    scratch = Path(tempfile.mkdtemp(prefix="mlaas-"))
    try:
        folder = Away(remote["storage"], attempt=job["attempt"], scratch=scratch, logged=remote["logged"])
        folder.path.mkdir(parents=True, exist_ok=True)
        places = {source: str(parcel / name) for source, name in remote["files"].items()}
        write_json(folder.job, _here(job, places, scratch))
        _furnish(scratch, job, remote["endpoints"])
        echo = Echo(folder, remote["token"])
        echo.start()
        code = context.main(folder)
        if code == 0:
            _as_named(folder.outcome, {here: source for source, here in places.items()})
        echo.finish()
        return code
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Echo(threading.Thread):
    """Repeats the lines of the entry on standard output, and ends the process when its turn is over."""

    def __init__(self, folder: Away, token: str, *, end: Callable[[], None] | None = None) -> None:
        """`end` is what happens when another attempt has the turn."""
        super().__init__(name="mlaas-echo", daemon=True)
        self._folder, self._lines = folder, Departures(folder.events, token)
        self._end = end or _end
        self._done = threading.Event()
        self._asked_at = 0.0

    def run(self) -> None:
        """Until the process ends."""
        while not self._done.wait(LOOK_S):
            self._echo()
            if time.monotonic() - self._asked_at > TENURE_S:
                self._asked_at = time.monotonic()
                if _turn(self._folder.turn) != self._folder.attempt:
                    self._end()

    def finish(self) -> None:
        """Repeat what is left."""
        self._done.set()
        self.join()
        self._echo()

    def _echo(self) -> None:
        for line in self._lines:
            # One call a line: other output may come between two lines, but never into one.
            os.write(1, line)


def _turn(path: Path) -> int | None:
    """Whose turn it is; a file that is being replaced is read again."""
    for _ in range(3):
        try:
            found = read_json(path)
            return None if found is None else found["attempt"]
        except (OSError, ValueError):
            time.sleep(LOOK_S)
    return None


def _end() -> None:
    sys.stderr.write("a newer attempt has taken over, or this one was given up: ending at once\n")
    sys.stderr.flush()
    if os.getpgid(0) == os.getpid() or os.getsid(0) == os.getpgid(0):
        # Ray starts an entry as leader of a session, so its group is all that it started.
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(LOST)


def _here(job: Mapping[str, JSON], places: Mapping[str, str], scratch: Path) -> dict[str, JSON]:
    """The job with the paths, threads and folders it has on this machine."""
    threads = min((job.get("launch") or {}).get("cpus") or job["settings"]["threads"], os.cpu_count() or 1)
    settings = {**job["settings"], "data_dir": str(scratch), "threads": threads}
    return {**job, "spec": _replaced(job["spec"], places), "settings": settings}


def _as_named(outcome: Path, sources: Mapping[str, str]) -> None:
    """Have data go by the name the user gave it, not by where it lay here."""
    write_json(outcome, _replaced(read_json(outcome), sources))


def _replaced(value: JSON, paths: Mapping[str, str]) -> JSON:
    match value:
        case dict():
            return {key: _replaced(inner, paths) for key, inner in value.items()}
        case list() | tuple():
            return [_replaced(inner, paths) for inner in value]
        case str():
            for old, new in paths.items():
                if value == old or value.startswith(f"{old}/"):
                    return new + value[len(old) :]
    return value


def _furnish(scratch: Path, job: Mapping[str, JSON], endpoints: list[dict[str, JSON]]) -> None:
    """A store of this entry alone, in which it finds the endpoints that the user's store knows."""
    if not endpoints:
        return
    store = Store(scratch / "store.sqlite3")
    for at, endpoint in enumerate(endpoints):
        row = Job(
            id=f"endpoint{at}",
            task="serve",
            name=endpoint["name"],
            spec={},
            spec_hash=f"endpoint{at}",
            state=JobState.QUEUED,
            attempt=1,
            executor=job["executor"],
            folder=str(scratch),
            created_at=time.time(),
        )
        store.add(row)
        store.move(row.id, JobState.RUNNING, attempt=1)
        store.announce(Endpoint.read({**endpoint, "job_id": row.id}), attempt=1)
    store.close()


if __name__ == "__main__":
    sys.exit(main())
