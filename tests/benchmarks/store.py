"""What the store costs with 10,000 jobs in it, and the cache of answers with many calls in it.

    python tests/benchmarks/store.py [FOLDER] [--calls 1000000]

Prints a table. FOLDER says which disk is measured; by default the one of temporary files. Eight processes race at the
end.
"""

import argparse
import hashlib
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from faults.racing import percentile, race  # noqa: E402
from made_jobs import made  # noqa: E402

from mlaas_lab.schema import JobState, Progress  # noqa: E402
from mlaas_lab.store import Store  # noqa: E402
from mlaas_lab.store.completions import NAME, Completions  # noqa: E402

JOBS = 10_000
OPTIONS = {f"option{n}": n for n in range(25)}
BLOCK = 100
"""Answers kept at once."""
ANSWER_BYTES = 300
SPEC = {"base": "tiny", "data": "/home/somebody/data/support.jsonl", "note": "x" * 200, **OPTIONS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where to measure")
    parser.add_argument("--calls", type=int, default=100_000, help="answers in the cache")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "store.sqlite3"
        filled(path)
        size = path.stat().st_size / 1e6
        store = Store(path)
        mode = store._db.read("pragma journal_mode")[0][0]
        print(f"SQLite {sqlite3.sqlite_version}, journal {mode}, {JOBS:,} jobs, {size:.1f} MB")
        single(store, path)
        store.close()
        cached(Path(folder) / NAME, options.calls)
        racing(Path(folder) / "race.sqlite3")
    return 0


def filled(path: Path) -> None:
    """A store with JOBS jobs, all but one of them ended; written without syncs."""
    store = Store(path)
    store._db._db.execute("pragma synchronous=off")
    for n in range(JOBS):
        name = f"{n:08x}"
        store.add(made(name, name=f"name{n % 100}", spec=SPEC, folder=f"/home/somebody/.local/share/mlaas_lab/{name}"))
        store.move(name, JobState.RUNNING, attempt=1, handle={"pid": n, "started_at": 1.5})
        if n:
            store.move(name, JobState.SUCCEEDED, attempt=1)
    store.close()


def single(store: Store, path: Path) -> None:
    """One process."""
    one, chance = "00000000", random.Random(1)
    timed("list, the newest 50", lambda _n: store.jobs(limit=50), 300)
    timed("list, one name, newest 50", lambda _n: store.jobs(name="name7", limit=50), 300)
    timed("list, all that are alive", lambda _n: store.jobs(states=[JobState.RUNNING]), 300)
    timed("list, all of them", lambda _n: store.jobs(), 10)
    timed("one job by id", lambda n: store.job(f"{n * 7:08x}"), 1000)
    timed("one job by name", lambda n: store.find(f"name{n % 100}"), 100)
    timed("commit: progress", lambda n: store.update(one, attempt=1, progress=at(n, chance)), 1000)
    timed("commit: a new job", lambda n: store.add(made(f"new{n}", spec=SPEC)), 500)
    timed("open, with its check", lambda _n: Store(path).close(), 30)


def cached(path: Path, calls: int) -> None:
    """The cache of answers: filled in an evaluation's blocks, then asked by another process's worth of keys."""
    cache, chance, log_bytes = Completions(path, note=print), random.Random(2), 0
    log = path.with_name(f"{path.name}-wal")
    began = time.perf_counter()
    for start in range(0, calls, BLOCK):
        cache.keep({key(n): chance.randbytes(ANSWER_BYTES) for n in range(start, min(start + BLOCK, calls))})
        log_bytes = max(log_bytes, log.stat().st_size if log.exists() else 0)
    took_s, size = time.perf_counter() - began, path.stat().st_size / 1e6
    print(f"{calls:,} answers kept in {took_s:.0f} s, {size:.0f} MB, log at most {log_bytes / 1e6:.1f} MB")
    timed("look 1,000 answers up", lambda _n: found(cache, chance.sample(range(calls), 1000)), 100)
    timed("keep 1,000 answers more", lambda n: cache.keep(dict.fromkeys(map(key, fresh(calls, n)), b"x" * 300)), 50)
    cache.close()
    timed("open the cache", lambda _n: Completions(path, note=print).close(), 30)


def found(cache: Completions, which: list[int]) -> None:
    """All of them are there."""
    assert len(cache.find(map(key, which))) == len(which)


def fresh(calls: int, n: int) -> range:
    """A thousand that are not there yet."""
    return range(calls + 1000 * n, calls + 1000 * (n + 1))


def key(n: int) -> bytes:
    """As an evaluation's: a hash of what was asked."""
    return hashlib.sha256(n.to_bytes(8)).digest()


def at(n: int, chance: random.Random) -> Progress:
    """Progress that differs from the last one."""
    return Progress(n=n, total=1000, unit="steps", at=chance.random(), rate=chance.random())


def timed(name: str, act: Callable[[int], object], times: int) -> None:
    """A line with the time that `act` takes."""
    took = []
    for n in range(times):
        began = time.perf_counter()
        act(n)
        took.append(time.perf_counter() - began)
    took.sort()
    p50, p99 = took[times // 2] * 1000, took[min(times - 1, int(times * 0.99))] * 1000
    print(f"{name:<44} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   worst {took[-1] * 1000:8.2f} ms   n {times}")


def racing(path: Path) -> None:
    """Eight processes, 10,000 operations in all."""
    began = time.perf_counter()
    said = race(path, processes=8, operations=1250)
    took_s = time.perf_counter() - began
    p50, p99, worst = (percentile(said, share) for share in (0.5, 0.99, 1.0))
    errors = sum(one.operation == "error" for one in said)
    name = f"8 processes, {len(said):,} operations, {errors} errors"
    print(f"{name:<44} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   worst {worst:8.2f} ms   {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
