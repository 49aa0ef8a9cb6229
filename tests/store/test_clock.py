"""The clock is set while jobs run: order is the order of what happened, and nothing took less than no time."""

import time
from itertools import pairwise

import pytest
from made_jobs import made

from mlaas_lab.schema import Endpoint, JobState
from mlaas_lab.store import NEXT, Store
from mlaas_lab.store.connection import Database
from mlaas_lab.view.job import took_s

HOUR_S, DAY_S = 3600.0, 86_400.0
STEPS = {"an hour back": -HOUR_S, "an hour on": HOUR_S, "a day back": -DAY_S, "a day on": DAY_S}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "s.sqlite3")
    yield store
    store.close()


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_790_000_000.0
        monkeypatch.setattr(time, "time", self.read)

    def read(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture(params=STEPS.values(), ids=STEPS)
def step_s(request):
    return request.param


def test_jobs_are_listed_in_the_order_they_were_added(store, clock, step_s):
    for n in range(6):
        store.add(made(f"job{n}", name="same"))
        clock.now += step_s if n % 2 else 0
    newest_first = [f"job{n}" for n in reversed(range(6))]
    assert [job.id for job in store.jobs()] == newest_first
    assert [job.id for job in store.jobs(name="same", limit=3)] == newest_first[:3]
    assert [job.id for job in store.jobs(states=[JobState.QUEUED])] == newest_first
    assert store.find("same").id == "job5", "the newest of a name"


def test_the_last_job_with_a_spec_is_the_one_that_is_returned(store, clock, step_s):
    store.add(made("first", spec_hash="h"))
    clock.now += step_s
    store.add(made("second", spec_hash="h"), force=True)
    assert store.add(made("third", spec_hash="h")).id == "second"


def test_the_newest_endpoint_of_a_name_is_the_one_added_last(store, clock, step_s):
    for name in ("first", "second"):
        store.add(made(name))
        store.move(name, JobState.RUNNING, attempt=1)
        more = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "x", "ready": True, "source": "s"}
        store.announce(Endpoint(name="e", job_id=name, **more), attempt=1)
        clock.now += step_s
    found = store.endpoint("e")
    assert found is not None
    assert found.job_id == "second"


def test_a_history_is_in_order_and_nothing_took_less_than_no_time(store, clock, step_s):
    store.add(made())
    for state in (JobState.RUNNING, JobState.FAILED):
        clock.now += step_s
        store.move("a", state, attempt=1, why="x")
        assert (took_s(store.job("a")) or 0.0) >= 0.0
    states = [state for state, *_ in store.history("a")]
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.FAILED]
    assert all(after in NEXT[before] for before, after in pairwise(states))
    assert took_s(store.job("a")) == pytest.approx(max(0.0, step_s), abs=60)


def test_an_order_by_the_clock_is_caught(store, clock, monkeypatch):
    read = Database.read
    by_clock = lambda self, sql, *values: read(self, sql.replace("rowid desc", "created_at desc"), *values)  # noqa: E731
    monkeypatch.setattr(Database, "read", by_clock)
    with pytest.raises(AssertionError):
        test_jobs_are_listed_in_the_order_they_were_added(store, clock, -HOUR_S)
