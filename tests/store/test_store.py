"""The store keeps what it acknowledged, refuses what may not be, and can be rebuilt from its events."""

import sqlite3
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from mlaas_lab.errors import StoreError, UsageError
from mlaas_lab.schema import Endpoint, EndpointState, Job, JobState, Parity, Progress
from mlaas_lab.store import NEXT, Store
from mlaas_lab.store.connection import journal_mode
from mlaas_lab.store.known import KnownEndpoints
from mlaas_lab.store.migrations import MIGRATIONS

SCHEMA = {
    "jobs": [
        "id", "task", "name", "spec", "spec_hash", "state", "attempt", "executor", "folder", "created_at", "started_at",
        "ended_at", "progress", "ready", "handle", "run_id", "error", "cancel_requested", "beat", "waiting", "requeues",
        "claims",
    ],
    "events": ["seq", "job_id", "attempt", "at", "state", "why"],
    "leases": ["job_id", "resource", "amount"],
    "queue": ["seq", "job_id", "needs", "priority"],
    "endpoints": [
        "job_id", "name", "base_url", "model", "engine", "source", "ready", "state", "parity", "cold_first_token_s",
        "warm_first_token_s", "work",
    ],
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store.sqlite3")
    yield store
    store.close()


def job(name="a", **values):
    given = {"id": name, "task": "toy", "name": name, "spec": {"n": 1}, "spec_hash": name, "state": JobState.QUEUED}
    more = {"attempt": 1, "executor": "process", "folder": "/x", "created_at": time.time()}
    return Job(**{**given, **more, **values})


def test_schema_after_migrations_is_the_expected_one(store, tmp_path):
    db = sqlite3.connect(tmp_path / "store.sqlite3")
    tables = {row[0] for row in db.execute("select name from sqlite_master where type='table'")} - {"sqlite_sequence"}
    assert tables == set(SCHEMA)
    assert {t: [row[1] for row in db.execute(f"pragma table_info({t})")] for t in tables} == SCHEMA
    assert db.execute("pragma user_version").fetchone()[0] == len(MIGRATIONS)
    db.close()


def test_what_is_added_is_found_as_it_was(store):
    added = store.add(job(spec={"rank": 8, "data": "é.jsonl"}))
    assert store.job("a") == added
    assert store.find("a") == added


def test_same_hash_returns_the_first_unless_forced(store):
    first = store.add(job("a", spec_hash="h"))
    assert store.add(job("b", spec_hash="h")) == first
    assert store.add(job("c", spec_hash="h"), force=True).id == "c"


def test_prefix_must_be_unique(store):
    for name in ("ab1", "ab2", "x"):
        store.add(job(name, id=name, spec_hash=name))
    assert store.find("x").id == "x"
    with pytest.raises(UsageError, match="fits 2 jobs"):
        store.find("ab")


def test_newest_of_a_name_wins(store):
    store.add(job("s", id="1", spec_hash="1", created_at=1.0))
    store.add(job("s", id="2", spec_hash="2", created_at=2.0))
    assert store.find("s").id == "2"
    assert [j.id for j in store.jobs(name="s")] == ["2", "1"]


def test_progress_and_endpoints_come_back(store):
    store.add(job())
    store.move("a", JobState.RUNNING, attempt=1, handle={"pid": 1})
    progress = Progress(n=3, total=None, unit="rows", at=1.5)
    store.update("a", attempt=1, progress=progress, run_id="r")
    place = Endpoint(
        name="e", job_id="a", base_url="http://127.0.0.1:1/v1", model="m", engine="x", ready=False, source="t"
    )
    store.announce(place, attempt=1)
    kept = store.job("a")
    assert (kept.progress, kept.run_id, kept.handle) == (progress, "r", {"pid": 1})
    assert store.endpoint("e") == place
    store.move("a", JobState.SUCCEEDED, attempt=1)
    assert store.endpoint("e") is None, "an endpoint lives as long as its job"


def test_how_an_endpoint_is_doing(store):
    store.add(job())
    store.move("a", JobState.RUNNING, attempt=1)
    place = {"job_id": "a", "base_url": "http://127.0.0.1:1/v1", "engine": "x", "source": "t", "model": "m"}
    for name in ("e", "f"):
        store.announce(Endpoint(name=name, ready=False, **place), attempt=1)
    assert store.endpoint("e").state is None, "nobody looks after it yet"
    for state in (EndpointState.READY, EndpointState.SICK, EndpointState.BUSY):
        store.tell("a", ["e"], state, attempt=1)
        assert (store.endpoint("e").state, store.endpoint("e").ready) == (state, state.answers)
    store.tell("a", ["e"], EndpointState.STOPPED, attempt=1)
    assert [one.name for one in store.endpoints()] == ["f"], "one of them is gone, its job runs on"
    with pytest.raises(StoreError, match="attempt 2 of job a was replaced"):
        store.tell("a", ["f"], EndpointState.READY, attempt=2)


def test_a_job_that_goes_on_says_nothing_of_how_its_endpoints_were(store):
    store.add(job())
    store.move("a", JobState.RUNNING, attempt=1)
    place = {"job_id": "a", "base_url": "http://127.0.0.1:1/v1", "engine": "x", "source": "t", "model": "m"}
    for name in ("e", "f"):
        store.announce(Endpoint(name=name, ready=True, **place), attempt=1)
    store.tell("a", ["e"], EndpointState.READY, attempt=1)
    store.tell("a", ["f"], EndpointState.STOPPED, attempt=1)
    store.move("a", JobState.CANCELLED, attempt=1)
    store.requeue("a", attempt=1, why="resumed", by_hand=True)
    store.move("a", JobState.RUNNING, attempt=2)
    (found,) = store.endpoints()
    assert (found.name, found.state, found.ready) == ("e", None, False)


def test_newer_attempt_fences_the_older(store):
    store.add(job(attempt=2))
    with pytest.raises(StoreError, match="attempt 1 of job a was replaced by attempt 2"):
        store.move("a", JobState.RUNNING, attempt=1)
    assert store.job("a").state is JobState.QUEUED


@rules(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(list(JobState)), max_size=8))
def test_state_equals_what_its_events_say(tmp_path_factory, steps):
    store = Store(tmp_path_factory.mktemp("s") / "s.sqlite3")
    store.add(job())
    expected = JobState.QUEUED
    for step in steps:
        if step in NEXT[expected]:
            store.move("a", step, attempt=1, why="x")
            expected = step
        else:
            with pytest.raises(StoreError, match="cannot become"):
                store.move("a", step, attempt=1)
    history = store.history("a")
    assert history[-1][0] == store.job("a").state == expected
    assert all(b[0] in NEXT[a[0]] for a, b in pairwise(history))
    store.close()


def test_threads_take_turns(store):
    store.add(job())
    store.move("a", JobState.RUNNING, attempt=1)
    errors = []

    def write(n):
        try:
            for i in range(20):
                store.update("a", attempt=1, progress=Progress(n=n * 100 + i, total=None, at=0.0))
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.parametrize(
    ("version", "mode"),
    [((3, 40, 1), "truncate"), ((3, 44, 6), "wal"), ((3, 45, 0), "truncate"), ((3, 50, 7), "wal"), ((3, 51, 2), "truncate"),
     ((3, 51, 3), "wal"), ((3, 54, 1), "wal")],
)  # fmt: skip
def test_wal_only_where_its_race_is_mended(version, mode):
    assert journal_mode(version) == mode


def test_every_commit_reaches_the_disk(store):
    assert store._db.read("pragma synchronous")[0][0] == 2, "FULL"


def test_newer_file_is_not_touched(tmp_path):
    path = tmp_path / "s.sqlite3"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("pragma user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer mlaas_lab"):
        Store(path)


def test_damaged_file_is_one_line(tmp_path):
    path = tmp_path / "s.sqlite3"
    path.write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(path)


def test_full_disk_loses_nothing_that_was_acknowledged(store):
    store.add(job("a"))
    store._db._db.execute("pragma max_page_count=1")
    pages = store._db.read("pragma page_count")[0][0]
    store._db._db.execute(f"pragma max_page_count={pages}")
    with pytest.raises(StoreError, match="disk is full"):
        store.add(job("b", spec={"text": "x" * 200_000}))
    assert [j.id for j in store.jobs()] == ["a"]


def test_file_is_the_users_alone(store, tmp_path):
    assert (tmp_path / "store.sqlite3").stat().st_mode & 0o077 == 0


def test_what_an_endpoint_is_and_how_fast(store, tmp_path):
    store.add(job())
    store.move("a", JobState.RUNNING, attempt=1)
    place = {"job_id": "a", "base_url": "http://127.0.0.1:1/v1", "engine": "x", "source": "t", "model": "m"}
    compared = Parity(checked=True, prompts=4, tokens=64, first_difference=3, gap_nats=0.01)
    store.announce(Endpoint(name="e", ready=False, parity=compared, **place), attempt=1)
    assert store.endpoint("e").parity == compared
    assert not store.endpoint("e").unchecked
    known = KnownEndpoints(tmp_path / "store.sqlite3", task="toy")
    known.note_first_token("a", "e", cold_s=2.5, warm_s=None)
    known.note_first_token("a", "e", cold_s=None, warm_s=0.1)
    # A start later.
    store.announce(Endpoint(name="e", ready=True, parity=Parity(checked=False), **place), attempt=1)
    found = store.endpoint("e")
    assert (found.cold_first_token_s, found.warm_first_token_s, found.unchecked) == (2.5, 0.1, True)
    assert known.read()[0].unchecked
    known.close()
