"""A store of any version that was ever shipped opens, whenever the process dies on the way; a copy of it is kept.

A kill -9 leaves what stands in the files at that moment, so a copy of the folder before each statement is what each
kill leaves.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JobState
from mlaas_lab.store import Store, rows
from mlaas_lab.store.connection import Database
from mlaas_lab.store.migrations import MIGRATIONS

SHIPPED = range(1, len(MIGRATIONS))
"""Versions that a file may have when it must be brought up to date."""
JOBS = ("a", "é b", 'quo"te')


def older(path: Path, version: int) -> None:
    """A store as that version left it, with three jobs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("begin")
        for migration in MIGRATIONS[:version]:
            migration(db)
        there = [row[1] for row in db.execute("pragma table_info(jobs)")]
        for name in JOBS:
            values = {key: value for key, value in rows.columns(made(name, created_at=1.5)).items() if key in there}
            marks = ",".join("?" * len(values))
            db.execute(f"insert into jobs ({','.join(values)}) values ({marks})", tuple(values.values()))
            if version > 1:
                said = (name, 1, 1.5, JobState.QUEUED)
                db.execute("insert into events (job_id, attempt, at, state) values (?,?,?,?)", said)
        db.execute(f"pragma user_version={version}")
        db.execute("commit")


def watched(monkeypatch: pytest.MonkeyPatch, seen: Callable[[str], None]) -> None:
    """Have `seen` hear of every statement of every connection before it runs."""
    connect = sqlite3.connect

    def connected(*words: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*words, **options)
        db.set_trace_callback(seen)
        return db

    monkeypatch.setattr(sqlite3, "connect", connected)


def killed_everywhere(tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder of a store of that version, as a kill before each statement of its opening leaves it."""
    folder, left = tmp_path / "made", list[Path]()
    folder.mkdir()
    older(folder / "store.sqlite3", version)

    def snapshot(_statement: str) -> None:
        left.append(tmp_path / f"kill{len(left)}")
        shutil.copytree(folder, left[-1])

    with monkeypatch.context() as patch:
        watched(patch, snapshot)
        Store(folder / "store.sqlite3").close()
    snapshot("the end")
    return left


def opened(folder: Path, version: int) -> None:
    """Open what a kill left; its jobs are there, and so is a copy of the file as it was."""
    store = Store(folder / "store.sqlite3")
    assert store._db.read("pragma user_version")[0][0] == len(MIGRATIONS)
    assert store._db.read("pragma integrity_check")[0][0] == "ok"
    assert {job.id for job in store.jobs()} == set(JOBS)
    assert store.job("a") == made("a", created_at=1.5)
    store.move("a", JobState.RUNNING, attempt=1)
    store.close()
    kept = folder / f"store.sqlite3.v{version}.bak"
    assert kept.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("pragma user_version").fetchone()[0] == version
        assert copy.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert {row[0] for row in copy.execute("select id from jobs")} == set(JOBS)


@pytest.mark.parametrize("version", SHIPPED)
def test_a_migration_that_is_killed_is_done_anew(tmp_path, version, monkeypatch):
    left = killed_everywhere(tmp_path, version, monkeypatch)
    print(f"\nfrom version {version}: killed at {len(left)} places")
    assert len(left) > 10
    for folder in left:
        opened(folder, version)
        shutil.rmtree(folder)


def refusals(left: list[Path]) -> str:
    """What the store says to folders that it cannot open."""
    said = []
    for folder in left:
        try:
            Store(folder / "store.sqlite3").close()
        except StoreError as error:
            said.append(error.message)
    return "\n".join(said)


def test_a_migration_without_a_transaction_is_caught(tmp_path, monkeypatch):
    @contextmanager
    def careless(self):
        yield self._db

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", careless)
        left = killed_everywhere(tmp_path, 2, patch)
    assert "already exists" in refusals(left) or "duplicate column" in refusals(left)


def test_a_copy_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "store.sqlite3"
    older(path, 2)

    class Dies(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection) -> None:
            target.execute("create table half (x)")
            raise sqlite3.OperationalError("as the test wants")

    with monkeypatch.context() as patch:
        connect = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *words, **options: connect(*words, **options, factory=Dies))
        with pytest.raises(StoreError):
            Store(path)
    assert not list(tmp_path.glob("*.bak"))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone()[0] == 2, "no copy, no migration"
    opened(tmp_path, 2)


def test_a_new_store_has_nothing_to_copy(tmp_path):
    Store(tmp_path / "store.sqlite3").close()
    assert not list(tmp_path.glob("*.bak"))


def test_a_newer_file_is_left_as_it_is(tmp_path):
    path = tmp_path / "store.sqlite3"
    older(path, 2)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"pragma user_version={len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="written by a newer mlaas_lab; it was not touched") as caught:
        Store(path)
    assert "pip install -U mlaas_lab" in str(caught.value)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.bak"))
