"""The power fails while the store is written: nothing that was acknowledged is lost, nothing is damaged.

The real store runs on a simulated disk (`faults.power`); what the crash leaves is written to real files and opened by
the real store on the SQLite of this Python. The same test is seen to fail where the store syncs less.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.disk import Disk
from faults.power import Crash, crashes, sync_boundaries
from faults.standin import StandIn
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JobState, Progress
from mlaas_lab.store import Store

OLD, NEW = "3.40.1", "3.54.1"
"""An SQLite on which the store keeps a rollback journal, and one on which it keeps a write-ahead log."""
ALONE = ("pragma locking_mode=exclusive",)
"""The disk has no shared memory, so a log works for one connection only."""


def work(store: Store, acknowledged: Callable[[object], None], *, jobs: int) -> None:
    """Submit, run and end jobs; say after each transaction what was acknowledged: (job, its events so far)."""
    for n in range(jobs):
        name = f"job{n}"
        store.add(made(name, spec={"text": "x" * 300 * n}))
        acknowledged((name, 1))
        store.move(name, JobState.RUNNING, attempt=1, handle={"pid": n})
        acknowledged((name, 2))
        store.update(name, attempt=1, progress=Progress(n=n, total=10, at=0.0))
        if n % 2:
            store.move(name, JobState.SUCCEEDED, attempt=1)
            acknowledged((name, 3))


def recorded(disk: Disk, path: Path, module: StandIn, *, jobs: int) -> Disk:
    """The log of that work on `disk`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlaas_lab.store.connection.sqlite3", module)
        store = Store(path)
        work(store, disk.note, jobs=jobs)
        store.close()
    return disk


@dataclass(frozen=True)
class Found:
    """How the store stood after one crash."""

    verdict: str
    """`whole`, `lost` or `damaged`."""
    detail: str = ""


def judged(crash: Crash, folder: Path, *, module: StandIn | None) -> Found:
    """Open what the crash left, and hold it against what was acknowledged."""
    for name, content in crash.files.items():
        (folder / Path(name).name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        if module is not None:
            patch.setattr("mlaas_lab.store.connection.sqlite3", module)
        try:
            store = Store(folder / "store.sqlite3")
        except StoreError as error:
            return Found("damaged", str(error))
        try:
            return _held_against(store, crash.notes)
        except StoreError as error:
            return Found("damaged", str(error))
        finally:
            store.close()


def _held_against(store: Store, notes: Sequence[object]) -> Found:
    if (said := store._db.read("pragma integrity_check")[0][0]) != "ok":
        return Found("damaged", said)
    known: Counter[str] = Counter()
    for name, events in notes:
        known[name] = events
    there = {job.id: store.history(job.id) for job in store.jobs()}
    lost = sum(max(0, n - len(there.get(name, ()))) for name, n in known.items())
    if lost:
        return Found("lost", f"{lost} events")
    for job in store.jobs():
        assert job.state == there[job.id][-1][0], "a state and its event are one transaction"
    assert sum(map(len, there.values())) <= known.total() + 1, "only what was under way may be there besides"
    return Found("whole")


def outcomes(
    tmp_path: Path, *, version: str, points: int | None, jobs: int, instead: dict[str, str] | None = None
) -> Counter[str]:
    """How the store stood after many crashes: all sync boundaries, and `points` in all from anywhere in the log."""
    first = ALONE if version == NEW else ()
    newer = StandIn(None, version=version, first=first) if version == NEW else None
    (tmp_path / "made").mkdir()
    found: Counter[str] = Counter()
    with Disk() as disk:
        module = StandIn(disk, version=version, instead=instead, first=first)
        recorded(disk, tmp_path / "made" / "store.sqlite3", module, jobs=jobs)
        places, seed = sync_boundaries(disk), 0
        while found.total() < (points or 1):
            for crash in crashes(disk, set(places), seed):
                folder = tmp_path / f"{seed}-{crash.point}"
                folder.mkdir()
                found[judged(crash, folder, module=newer).verdict] += 1
                for file in folder.iterdir():
                    file.unlink()
                if points is not None and found.total() >= points:
                    break
            places, seed = list(range(len(disk.log))), seed + 1
    return found


FULL, JOURNAL = "pragma synchronous=full", "pragma journal_mode=truncate"
MODES = pytest.mark.parametrize("version", [OLD, NEW], ids=["rollback-journal", "write-ahead-log"])
LESS = {
    "no syncs": (OLD, {FULL: "pragma synchronous=off"}),
    "fewer syncs": (OLD, {FULL: "pragma synchronous=normal"}),
    "a journal that is deleted": (OLD, {JOURNAL: "pragma journal_mode=delete"}),
    "a log without syncs": (NEW, {FULL: "pragma synchronous=off"}),
    "a log with fewer syncs": (NEW, {FULL: "pragma synchronous=normal"}),
}
"""Ways to do less than the store does, each of which loses what was acknowledged."""


@MODES
def test_nothing_acknowledged_is_lost(tmp_path, version):
    assert outcomes(tmp_path, version=version, points=300, jobs=6) == {"whole": 300}


@pytest.mark.long
@MODES
def test_nothing_acknowledged_is_lost_at_2000_points(tmp_path, version):
    found = outcomes(tmp_path, version=version, points=2000, jobs=8)
    print(f"\npower failures with SQLite's {version} way: {dict(found)}")
    assert found == {"whole": 2000}


@pytest.mark.parametrize("way", LESS)
def test_a_store_that_does_less_is_caught(tmp_path, way):
    version, instead = LESS[way]
    found = outcomes(tmp_path, version=version, points=200, jobs=6, instead=instead)
    print(f"\npower failures with {way}: {dict(found)}")
    assert found["lost"] + found["damaged"] > 10


def test_a_store_that_never_syncs_is_damaged(tmp_path):
    version, instead = LESS["no syncs"]
    assert outcomes(tmp_path, version=version, points=200, jobs=6, instead=instead)["damaged"] > 10
