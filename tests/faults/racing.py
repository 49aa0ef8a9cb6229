"""Processes that race on one store: what each was told, how long it took, and what went wrong.

`race` starts them; each runs this file, does mixed operations on the same jobs and on its own, and writes an
acknowledgement to its pipe after the store has returned. So what stands in the pipe must stand in the store, also when
a process is killed. Run as a script it is one of the racers:

    python tests/faults/racing.py STORE SEED OPERATIONS WAY
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mlaas_lab.errors import StoreError
from mlaas_lab.schema import Job, JobState, Progress
from mlaas_lab.store import NEXT, Store, connection

SHARED = 20
"""Jobs that all of them work on."""
WAYS = ("as it is", "acknowledges too early", "does not wait")
"""The store as it is, and two sabotaged ones."""
REFUSALS = ("cannot become", "was replaced")
"""What a store may say to the second of two."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One line of a racer."""

    operation: str
    """`add`, `move`, `update`, `cancel`, `job`, `jobs`; `refused` and `error` for what the store did not do."""
    job: str
    took_ms: float
    words: str = ""

    @classmethod
    def read(cls, line: str) -> Self:
        """From its line."""
        operation, job, took_ms, words = line.rstrip("\n").split("\t")
        return cls(operation=operation, job=job, took_ms=float(took_ms), words=words)


class Racer:
    """One process that works on a store."""

    def __init__(self, path: Path, seed: int, operations: int, *, way: str = WAYS[0]) -> None:
        """Started at once; with `operations` 0 it goes on until it is killed."""
        words = [sys.executable, __file__, str(path), str(seed), str(operations), way]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def wait_for_first(self) -> list[Said]:
        """Block until it has been acknowledged something; the line."""
        assert self._process.stdout is not None
        return [Said.read(self._process.stdout.readline())]

    def kill(self) -> None:
        """SIGKILL."""
        self._process.send_signal(signal.SIGKILL)

    def all_said(self) -> list[Said]:
        """Everything (else) it said until its end; of a line it was killed in nothing."""
        assert self._process.stdout is not None
        lines = self._process.stdout.read().splitlines(keepends=True)
        self._process.wait()
        self._process.stdout.close()
        return [Said.read(line) for line in lines if line.endswith("\n")]


def prepared(path: Path) -> None:
    """A store with the jobs that all of them work on."""
    store = Store(path)
    for n in range(SHARED):
        store.add(_job(f"shared{n}"), force=True)
    store.close()


def race(path: Path, *, processes: int, operations: int, way: str = WAYS[0]) -> list[Said]:
    """What `processes` racers said, each after that many operations."""
    prepared(path)
    racers = [Racer(path, seed, operations, way=way) for seed in range(processes)]
    return [said for racer in racers for said in racer.all_said()]


def percentile(said: Iterable[Said], share: float) -> float:
    """Milliseconds within which that share of operations was done."""
    took = sorted(one.took_ms for one in said)
    return took[min(len(took) - 1, int(share * len(took)))]


def differences(path: Path, said: Iterable[Said], *, exact: bool) -> list[str]:
    """Where the store differs from what was acknowledged: an event missing, or with `exact` one too many."""
    known = Counter(one.job for one in said if one.operation in ("add", "move"))
    known.update(f"shared{n}" for n in range(SHARED))
    store = Store(path)
    there = {job.id: len(store.history(job.id)) for job in store.jobs()}
    integrity = store._db.read("pragma integrity_check")[0][0]
    store.close()
    wrong = [] if integrity == "ok" else [integrity]
    for name in sorted(known.keys() | there.keys()):
        kept, acknowledged = there.get(name, 0), known[name]
        if kept < acknowledged or (exact and kept != acknowledged):
            wrong.append(f"{name}: {acknowledged} acknowledged, {kept} kept")
    return wrong


def _job(name: str) -> Job:
    return Job(
        id=name, task="toy", name=name, spec={"text": "x" * 500}, spec_hash=name, state=JobState.QUEUED, attempt=1,
        executor="process", folder="/x", created_at=time.time(),
    )  # fmt: skip


class _Work:
    """The mixed operations of one racer."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store, self._seed, self._made = store, seed, 0
        self._chance = random.Random(seed)

    def next(self) -> tuple[str, str]:
        """What to do now: the operation and the job."""
        operation = self._chance.choices(("add", "move", "update", "cancel", "job", "jobs"), (2, 4, 4, 1, 4, 1))[0]
        if operation != "add":
            return operation, f"shared{self._chance.randrange(SHARED)}"
        self._made += 1
        return operation, f"own{self._seed}-{self._made}"

    def do(self, operation: str, name: str) -> None:
        """Do it."""
        store = self._store
        match operation:
            case "add":
                store.add(_job(name), force=True)
            case "move":
                steps = NEXT[store.job(name).state] - {JobState.SUCCEEDED}
                store.move(name, self._chance.choice(sorted(steps)), attempt=1)
            case "update":
                store.update(name, attempt=1, progress=Progress(n=self._chance.randrange(1000), total=None, at=0.0))
            case "cancel":
                store.request_cancel(name)
            case "job":
                store.job(name)
            case "jobs":
                store.jobs(limit=20)


def _say(operation: str, job: str, took_s: float, words: str = "") -> None:
    """At once and in one piece."""
    os.write(1, f"{operation}\t{job}\t{took_s * 1000:.3f}\t{words}\n".encode())


def main(path: str, seed: int, operations: int, way: str) -> None:
    """Race."""
    work, n = _Work(Store(Path(path)), seed), 0
    if way == "does not wait":
        connection.BUSY_S = 0
    while n < operations or not operations:
        n += 1
        operation, job = work.next()
        if way == "acknowledges too early":
            _say(operation, job, 0.0)
        began = time.perf_counter()
        try:
            work.do(operation, job)
        except StoreError as error:
            kind = "refused" if any(words in error.message for words in REFUSALS) else "error"
            _say(kind, "", time.perf_counter() - began, error.message)
        else:
            if way != "acknowledges too early":
                _say(operation, job, time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
