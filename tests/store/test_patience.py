"""Who can wait goes on when there is room again; who gives up, or waits for nothing, hears why."""

import pytest
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import JobState
from mlaas_lab.store import Store
from mlaas_lab.store.patience import patient, patiently


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "s.sqlite3")
    yield store
    store.close()


def full(store: Store) -> None:
    """No page more."""
    store._db._db.execute(f"pragma max_page_count={store._db.read('pragma page_count')[0][0]}")


def room(store: Store) -> None:
    store._db._db.execute("pragma max_page_count=1000000")


def test_a_full_disk_is_waited_out(store):
    told: list[StoreError] = []
    waits = iter(range(5))

    def looked() -> bool:
        if next(waits) == 3:
            room(store)
        return False

    slow = patient(store, every_s=0.01, told=told.append, given_up=looked)
    full(store)
    slow.add(made(spec={"text": "x" * 100_000}))
    slow.move("a", JobState.RUNNING, attempt=1)
    assert [job.state for job in store.jobs()] == [JobState.RUNNING]
    assert [len(store.history("a")), len(told)] == [2, 1], "done once, told once"
    assert "bytes are needed" in told[0].message


def test_a_store_without_patience_is_caught(store):
    full(store)
    with pytest.raises(StoreError, match="bytes are needed"):
        store.add(made(spec={"text": "x" * 100_000}))


def test_who_gives_up_hears_why(store):
    full(store)
    hurried = patient(store, every_s=60, told=lambda _error: None, given_up=lambda: True)
    with pytest.raises(StoreError, match="bytes are needed"):
        hurried.add(made(spec={"text": "x" * 100_000}))


def test_what_will_not_pass_is_not_waited_for(store):
    store.add(made(attempt=2))
    slow = patient(store, every_s=60, told=lambda _error: None, given_up=lambda: False)
    with pytest.raises(StoreError, match="replaced by attempt 2"):
        slow.move("a", JobState.RUNNING, attempt=1)


def test_what_is_done_is_returned():
    assert patiently(lambda: 7, told=lambda _error: None, given_up=lambda: True) == 7
