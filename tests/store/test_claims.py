"""A name means one model: of jobs that would answer to one, however close they come, one does."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from made_jobs import made

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import Endpoint, EndpointState, JobState
from mlaas_lab.store import Store, claims
from mlaas_lab.store.migrations import MIGRATIONS

PLACE = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "vllm", "source": "m"}
AT_ONCE = 8


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "s.sqlite3")
    yield made
    made.close()


def serve(name, *names, **more):
    return made(name, task="serve", claims=names, **more)


def test_the_second_is_refused_and_told_who_has_it(store):
    store.add(serve("one", "tiny", "support"))
    with pytest.raises(UsageError, match=r"^job one serves an endpoint 'support' already, and a name must mean one"):
        store.add(serve("two", "support"))
    assert [job.id for job in store.jobs()] == ["one"]
    store.add(serve("three", "legal"))
    store.add(made("four"))


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.PREEMPTED])
def test_whoever_lives_keeps_its_name_and_whoever_ended_does_not(store, state):
    store.add(serve("one", "tiny"))
    if state is not JobState.QUEUED:
        store.move("one", JobState.RUNNING, attempt=1)
    if state is JobState.PREEMPTED:
        store.move("one", JobState.PREEMPTED, attempt=1)
    with pytest.raises(UsageError):
        store.add(serve("two", "tiny"))
    store.move("one", JobState.CANCELLED, attempt=1)
    store.add(serve("two", "tiny"))
    with pytest.raises(UsageError, match="job two serves an endpoint 'tiny' already"):
        store.requeue("one", attempt=1, why="resumed", by_hand=True)
    assert (store.job("one").state, store.job("one").attempt) == (JobState.CANCELLED, 1)


def test_an_adapter_that_joins_and_leaves(store):
    store.add(serve("one", "tiny"))
    store.move("one", JobState.RUNNING, attempt=1)
    assert store.answer("one", more=["legal", "tiny"]) == ["legal"]
    with pytest.raises(UsageError):
        store.add(serve("two", "legal"))
    store.announce(Endpoint(name="legal", job_id="one", ready=True, **PLACE), attempt=1)
    store.tell("one", ["legal"], EndpointState.STOPPED, attempt=1)
    assert store.job("one").claims == ("tiny",)
    store.add(serve("two", "legal"))
    with pytest.raises(UsageError):
        store.answer("one", more=["legal"])
    assert store.job("one").claims == ("tiny",)


def race(path, add):
    """How many of those that want one name at once have it."""
    Store(path).close()
    start = Barrier(AT_ONCE)

    def one(n):
        store = Store(path)
        try:
            start.wait()
            add(store, serve(f"j{n}", "tiny"))
        except UsageError:
            return 0
        finally:
            store.close()
        return 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, range(AT_ONCE)))


def test_of_many_that_come_at_once_one_has_it(tmp_path):
    for n in range(5):
        assert race(tmp_path / f"{n}.sqlite3", lambda store, job: store.add(job)) == 1


def test_a_look_before_does_not_help(tmp_path, monkeypatch):
    """The sabotaged twin: look first, then add, in two steps."""
    looked = Barrier(AT_ONCE)

    def add(store, job):
        taken = [one for one in store.jobs() if set(one.claims) & set(job.claims)]
        looked.wait()
        if taken:
            raise UsageError("taken.")
        store.add(job)

    monkeypatch.setattr(claims, "check", lambda *_: None)
    assert race(tmp_path / "s.sqlite3", add) == AT_ONCE


def test_servers_of_an_older_store_keep_their_names(tmp_path):
    path = tmp_path / "s.sqlite3"
    before = next(n for n, migration in enumerate(MIGRATIONS) if migration.__name__ == "claims")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for migration in MIGRATIONS[:before]:
            migration(db)
        db.execute(
            "insert into jobs (id, task, name, spec, spec_hash, state, attempt, executor, folder, created_at)"
            " values ('one', 'serve', 's', '{}', 'h', 'running', 1, 'process', '/x', 1.0)"
        )
        db.execute(
            "insert into endpoints (job_id, name, base_url, model, engine, source, ready)"
            " values ('one', 'tiny', 'u', 'm', 'vllm', 'm', 1)"
        )
        db.execute(f"pragma user_version={before}")
    store = Store(path)
    try:
        assert store.job("one").claims == ("tiny",)
    finally:
        store.close()
