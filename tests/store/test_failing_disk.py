"""Whatever call of the disk fails: one typed error that names the file, nothing acknowledged is lost, and on it goes."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.disk import Disk
from faults.standin import StandIn
from faults.sweep import FULL, IOERR, NO_HANDLE, NOMEM, Fault, Kind, sweep
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JobState
from mlaas_lab.store import Store
from mlaas_lab.store.failures import ROOM_BYTES

OLD = "3.40.1"


@contextlib.contextmanager
def on(disk: Disk, instead: dict[str, str] | None = None) -> Iterator[None]:
    """The store uses that disk, with a rollback journal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlaas_lab.store.connection.sqlite3", StandIn(disk, version=OLD, instead=instead))
        yield


def begun(path: Path) -> dict[str, bytes]:
    """The files of a store with one running job."""
    with Disk() as disk, on(disk):
        store = Store(path)
        store.add(made("first"))
        store.move("first", JobState.RUNNING, attempt=1)
        store.close()
        return disk.files


def work(store: Store, name: str, acknowledged: Callable[[str, int], None]) -> None:
    """Two transactions on a new job, one on an old one; the text is longer than a page."""
    store.add(made(name, spec={"text": "x" * 9000}))
    acknowledged(name, 1)
    store.move(name, JobState.RUNNING, attempt=1)
    acknowledged(name, 2)
    store.update("first", attempt=1, run_id=name)


def attempted(path: Path, disk: Disk, fault: Fault) -> StoreError | None:
    """Open and work while the disk fails, then go on with the same store when it works again; what was refused."""
    known = {"first": 2}
    store, refused = None, None
    try:
        store = Store(path)
        work(store, "second", known.__setitem__)
    except StoreError as error:
        refused = error
    fault.mend()
    store = store or Store(path)
    work(store, "third", known.__setitem__)
    assert store._db.read("pragma integrity_check")[0][0] == "ok"
    store.close()
    again = Store(path)
    kept = {job.id: len(again.history(job.id)) for job in again.jobs()}
    again.close()
    assert all(kept.get(name, 0) >= n for name, n in known.items()), (
        f"call {fault.n}: {known} acknowledged, {kept} kept"
    )
    return refused


def swept(path: Path, kind: Kind, *, lasting: bool, instead: dict[str, str] | None = None) -> list[StoreError]:
    """All refusals, one for each n at which one came."""
    files, refusals = begun(path), []
    for fault in sweep(kind, lasting=lasting):
        with Disk(files) as disk, on(disk, instead):
            disk.before = fault
            refused = attempted(path, disk, fault)
        assert fault.struck or refused is None
        refusals += [refused] if refused else []
    print(f"\n{kind.name}, lasting={lasting}: {fault.n - 1} calls, {len(refusals)} refusals")
    return refusals


@pytest.mark.parametrize(
    ("kind", "lasting"),
    [
        (FULL, False),
        (FULL, True),
        (IOERR, False),
        (NOMEM, False),
        (NO_HANDLE, False),
        pytest.param(IOERR, True, marks=pytest.mark.long),
        pytest.param(NOMEM, True, marks=pytest.mark.long),
    ],
    ids=["full", "full-lasting", "ioerr", "nomem", "no-handle", "ioerr-lasting", "nomem-lasting"],
)
def test_every_call_may_fail(tmp_path, kind, lasting):
    path = tmp_path / "store.sqlite3"
    refusals = swept(path, kind, lasting=lasting)
    assert len(refusals) >= 5
    assert all(str(path) in error.message and error.next for error in refusals)
    assert {error.temporary for error in refusals} == {kind in (FULL, NOMEM)}
    if kind is FULL:
        assert all(f"{ROOM_BYTES:,} bytes are needed" in error.message for error in refusals)


def test_a_store_without_a_journal_is_caught(tmp_path):
    with pytest.raises((AssertionError, StoreError, sqlite3.Error)):
        swept(tmp_path / "s", IOERR, lasting=False, instead={"pragma journal_mode=truncate": "pragma journal_mode=off"})


def test_an_error_that_is_not_explained_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr("mlaas_lab.store.connection.explained", lambda error, _path: error)
    with pytest.raises((sqlite3.Error, MemoryError)):
        swept(tmp_path / "s", FULL, lasting=True)
