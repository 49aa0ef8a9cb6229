"""What the store costs with 10,000 jobs in it: `python tests/benchmarks/store.py [FOLDER]`. Prints a table.

FOLDER says which disk is measured; by default the one of temporary files. Eight processes race at the end.
"""

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

JOBS = 10_000
OPTIONS = {f"option{n}": n for n in range(25)}
SPEC = {"base": "tiny", "data": "/home/somebody/data/support.jsonl", "note": "x" * 200, **OPTIONS}


def main() -> int:
    place = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "store.sqlite3"
        filled(path)
        size = path.stat().st_size / 1e6
        store = Store(path)
        mode = store._db.read("pragma journal_mode")[0][0]
        print(f"SQLite {sqlite3.sqlite_version}, journal {mode}, {JOBS:,} jobs, {size:.1f} MB")
        single(store, path)
        store.close()
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
