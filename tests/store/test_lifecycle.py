"""The life cycle as a state machine: whatever is done in whatever order, the store does only what a model allows.

Kernels, supervisors and clocks are actors that a generator moves; after each step the stored row, the row rebuilt from
the history, the fence and the leases must agree with the model.
"""

import random
import time
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as rules
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlaas_lab.errors import StoreError
from mlaas_lab.resources import Machine, Needs
from mlaas_lab.schema import Job, JobState
from mlaas_lab.store import NEXT, Store, rows
from mlaas_lab.store.history import rebuilt

BOX = Machine(threads=2)
ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.PREEMPTED)


@dataclass
class Known:
    """A job as the model has it."""

    state: JobState = JobState.QUEUED
    attempt: int = 1
    supervisor: int | None = None
    cancelled: bool = False
    threads: int = 0
    waits: list[int] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """Moves jobs through a real store and a model side by side."""

    folder = None

    @initialize()
    def opens(self) -> None:
        self.path = self.folder / f"{next(numbers)}" / "store.sqlite3"
        self.store = Store(self.path)
        self.jobs: dict[str, Known] = {}
        self.pids = count(1)

    def teardown(self) -> None:
        self.store.close()

    def some(self, data: random.Random) -> str:
        return data.choice(sorted(self.jobs))

    @rule(hash_=st.sampled_from("abc"), clock=st.sampled_from([0, -3600, 86_400]))
    def submit(self, hash_: str, clock: int) -> None:
        name = f"j{len(self.jobs)}"
        job = Job(
            id=name, task="toy", name=name, spec={}, spec_hash=hash_, state=JobState.QUEUED, attempt=1,
            executor="process", folder="/x", created_at=time.time() + clock,
        )  # fmt: skip
        alive = [known for known in self.jobs.values() if known.state in (JobState.QUEUED, JobState.RUNNING)]
        kept = self.store.add(job)
        if kept.id == name:
            self.jobs[name] = Known()
        else:
            assert kept.spec_hash == hash_
            assert alive or kept.state is JobState.SUCCEEDED

    @precondition(lambda self: self.jobs)
    @rule(data=st.randoms(use_true_random=False))
    def take(self, data: random.Random) -> None:
        name, pid = self.some(data), next(self.pids)
        known = self.jobs[name]
        free = known.state in (JobState.QUEUED, JobState.RUNNING) and known.supervisor is None
        if free:
            self.store.take(name, attempt=known.attempt, handle={"pid": pid})
            known.supervisor = pid
        else:
            with pytest.raises(StoreError):
                self.store.take(name, attempt=known.attempt, handle={"pid": pid})

    @precondition(lambda self: self.jobs)
    @rule(data=st.randoms(use_true_random=False), to=st.sampled_from(list(JobState)), late=st.booleans())
    def move(self, data: random.Random, to: JobState, late: bool) -> None:
        name = self.some(data)
        known = self.jobs[name]
        attempt = known.attempt - 1 if late else known.attempt
        if late or to not in NEXT[known.state] or (to is JobState.QUEUED):
            if to is JobState.QUEUED and not late and to in NEXT[known.state]:
                return  # that is what `requeue` is for
            with pytest.raises(StoreError):
                self.store.move(name, to, attempt=attempt)
            return
        self.store.move(name, to, attempt=attempt, why="said")
        known.state = to
        if to in ENDS:
            known.threads = 0

    @precondition(lambda self: self.jobs)
    @rule(data=st.randoms(use_true_random=False), late=st.booleans(), by_hand=st.booleans())
    def requeue(self, data: random.Random, late: bool, by_hand: bool) -> None:
        name = self.some(data)
        known = self.jobs[name]
        attempt = known.attempt - late
        if known.state is JobState.SUCCEEDED and not late and not by_hand:
            with pytest.raises(StoreError, match="cannot go on"):
                self.store.requeue(name, attempt=attempt, why="again", by_hand=by_hand)
            return
        following = self.store.requeue(name, attempt=attempt, why="again", by_hand=by_hand)
        if late or known.state in (JobState.QUEUED, JobState.RUNNING):
            assert following is None
            return
        self.jobs[name] = Known(attempt=known.attempt + 1)

    @precondition(lambda self: self.jobs)
    @rule(data=st.randoms(use_true_random=False))
    def cancel(self, data: random.Random) -> None:
        name = self.some(data)
        assert self.store.request_cancel(name).cancel_requested
        self.jobs[name].cancelled = True

    @precondition(lambda self: self.jobs)
    @rule(data=st.randoms(use_true_random=False), threads=st.integers(1, 2))
    def grant(self, data: random.Random, threads: int) -> None:
        name = self.some(data)
        known = self.jobs[name]
        if known.state is not JobState.QUEUED or known.threads:
            return
        given = self.store.grant(name, Needs(threads=threads), BOX, attempt=known.attempt)
        if isinstance(given, list):
            known.threads = given[0].amount

    @rule()
    def crash(self) -> None:
        """The process ends without a word; another opens the file."""
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def agrees(self) -> None:
        for name, known in self.jobs.items():
            job = self.store.job(name)
            assert (job.state, job.attempt, job.handle.get("pid")) == (known.state, known.attempt, known.supervisor)
            assert job.cancel_requested == known.cancelled
            history = self.store.history(name)
            again = rebuilt(history)
            assert (again.state, again.attempt, again.error) == (job.state, job.attempt, job.error)
            assert (again.started_at, again.ended_at) == (job.started_at, job.ended_at)
            assert all(b[0] in NEXT[a[0]] for a, b in pairwise(history)), "no step that is not allowed"
            assert [b[1] - a[1] for a, b in pairwise(history)] == [
                b[0] is JobState.QUEUED for a, b in pairwise(history)
            ]
        if self.jobs:
            assert sum(known.threads for known in self.jobs.values()) <= BOX.threads


numbers = count()


def play(tmp_path_factory, examples: int, steps: int) -> None:
    Life.folder = tmp_path_factory.mktemp("life")
    checks = rules(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Life, settings=checks)


def test_two_thousand_steps(tmp_path_factory):
    play(tmp_path_factory, 50, 40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_thousand_steps(tmp_path_factory):
    play(tmp_path_factory, 1000, 50)


def test_control_a_store_without_its_fence_is_noticed(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(rows, "fenced", lambda db, job_id, attempt: rows.found(db, job_id))
    with pytest.raises(BaseException, match=r"DID NOT RAISE|unhandled|distinct"):
        play(tmp_path_factory, 50, 40)


def test_control_a_store_that_forgets_its_history_is_noticed(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(Store, "_event", lambda self, db, job_id, happened: None)
    with pytest.raises((IndexError, ExceptionGroup)):
        play(tmp_path_factory, 10, 20)
