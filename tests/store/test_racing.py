"""Processes that race, and processes that are killed: what was acknowledged is in the store, nobody sees a lock."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.racing import WAYS, Racer, Said, differences, percentile, prepared, race
from faults.standin import StandIn
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JobState
from mlaas_lab.store import Store, connection
from mlaas_lab.store.connection import journal_mode

AFFECTED = "3.51.2"
"""The last SQLite whose write-ahead log can lose commits of several connections."""


def raced(path: Path, *, processes: int, operations: int) -> list[Said]:
    said = race(path, processes=processes, operations=operations)
    errors = [one.words for one in said if one.operation == "error"]
    assert not errors
    assert len(said) == processes * operations
    p50, p99, worst = (percentile(said, share) for share in (0.5, 0.99, 1.0))
    print(
        f"\n{processes} processes, {len(said):,} operations: p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms"
    )
    assert differences(path, said, exact=True) == []
    return said


def test_racing_processes_lose_nothing_and_see_no_lock(tmp_path):
    raced(tmp_path / "s.sqlite3", processes=4, operations=100)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_eight_processes_race_for_minutes(tmp_path):
    said = raced(tmp_path / "s.sqlite3", processes=8, operations=15_000)
    assert not any("locked" in one.words for one in said)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_log_that_is_written_back_all_the_time_loses_nothing(tmp_path):
    """Where the store uses a log: the reset race was one of a checkpoint and two writers."""
    path = tmp_path / "s.sqlite3"
    Store(path).close()
    again = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\nwhile True: db.execute('pragma wal_checkpoint(restart)')"
    others = [subprocess.Popen([sys.executable, "-c", again, str(path)], stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        raced(path, processes=8, operations=5_000)
        assert [other.poll() for other in others] == [None, None]
    finally:
        for other in others:
            other.kill()
            other.wait()
    log = path.with_name(f"{path.name}-wal")
    assert not log.exists() or log.stat().st_size <= 64_000_000


def test_a_store_that_does_not_wait_is_caught(tmp_path):
    said = race(tmp_path / "s.sqlite3", processes=4, operations=50, way=WAYS[2])
    assert [one for one in said if one.operation == "error"]


def killed(path: Path, times: int, *, way: str = WAYS[0]) -> tuple[list[Said], float]:
    """What was acknowledged to racers that were killed at random moments, and the slowest reopening in seconds."""
    prepared(path)
    said: list[Said] = []
    slowest_s, chance = 0.0, random.Random(times)
    for seed in range(times):
        racer = Racer(path, seed, 0, way=way)
        said += racer.wait_for_first()
        time.sleep(chance.uniform(0, 0.05))
        racer.kill()
        said += racer.all_said()
        began = time.perf_counter()
        Store(path).close()
        slowest_s = max(slowest_s, time.perf_counter() - began)
        assert not [one for one in said if one.operation == "error"]
    acknowledged = sum(one.operation in ("add", "move") for one in said)
    print(f"\n{times} kills, {acknowledged:,} acknowledged, slowest reopening {slowest_s * 1000:.0f} ms")
    return said, slowest_s


def test_killed_writers_leave_what_was_acknowledged(tmp_path):
    said, _ = killed(tmp_path / "s.sqlite3", 20)
    assert differences(tmp_path / "s.sqlite3", said, exact=False) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_killed_writers_leave_what_was_acknowledged(tmp_path):
    said, _ = killed(tmp_path / "s.sqlite3", 1000)
    assert differences(tmp_path / "s.sqlite3", said, exact=False) == []


def test_an_acknowledgement_that_comes_too_early_is_caught(tmp_path):
    said, _ = killed(tmp_path / "s.sqlite3", 20, way=WAYS[1])
    assert differences(tmp_path / "s.sqlite3", said, exact=False)


def test_no_write_ahead_log_on_this_sqlite_if_it_is_affected(tmp_path):
    store = Store(tmp_path / "s.sqlite3")
    store.add(made())
    assert store._db.read("pragma journal_mode")[0][0] == journal_mode(sqlite3.sqlite_version_info)
    store.close()


def mended(path: Path, monkeypatch: pytest.MonkeyPatch, *, version: str | None = None) -> Store:
    """A store opened by apsw's newer SQLite, or what claims to be `version` of it."""
    module = StandIn(None, version=version) if version else StandIn(None)
    monkeypatch.setattr(connection, "sqlite3", module)
    return Store(path)


def mode(store: Store) -> str:
    return str(store._db.read("pragma journal_mode")[0][0])


def test_a_mended_sqlite_begins_a_file_with_a_log_and_an_affected_one_ends_it(tmp_path, monkeypatch):
    path = tmp_path / "s.sqlite3"
    first = mended(path, monkeypatch)
    first.add(made("a"))
    assert mode(first) == "wal"
    with monkeypatch.context() as patch:
        patch.setattr(connection, "BUSY_S", 0.05)
        with pytest.raises(StoreError, match="write-ahead log, which is not safe here"):
            mended(path, patch, version=AFFECTED)
    first.close()
    second = mended(path, monkeypatch, version=AFFECTED)
    assert mode(second) == "truncate"
    third = mended(path, monkeypatch)
    assert mode(third) == "truncate", "else the second, which is still open, would find itself in a log"
    second.close()
    third.move("a", JobState.RUNNING, attempt=1)
    third.close()


def test_an_affected_sqlite_never_writes_a_log_that_appeared_meanwhile(tmp_path, monkeypatch):
    path = tmp_path / "s.sqlite3"
    store = mended(path, monkeypatch, version=AFFECTED)
    store.add(made("a"))
    other = StandIn(None).connect(path)
    other.execute("pragma journal_mode=wal")
    other.close()
    with pytest.raises(StoreError, match="write-ahead log, which is not safe here"):
        store.add(made("b"))
    assert [job.id for job in store.jobs()] == ["a"]
    store.close()


def test_who_waits_too_long_is_told_who_holds_the_store(tmp_path, monkeypatch):
    path = tmp_path / "s.sqlite3"
    store = Store(path)
    hold = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('begin immediate'); print(flush=True); input()"
    words = [sys.executable, "-c", hold, str(path)]
    other = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    monkeypatch.setattr(connection, "BUSY_S", 0.05)
    with pytest.raises(StoreError, match="others kept it busy for too long") as caught:
        store.add(made())
    other.communicate(b"\n")
    assert caught.value.temporary
    assert f"({other.pid})" in caught.value.message
    assert "locked" not in str(caught.value)
    store.add(made())
    store.close()
