"""What a live card of a job costs its kernel: CPU time of one look, with a curve of many points behind it.

python tests/benchmarks/cards.py [--points 1000,10000]

CPU time of this process, so that a busy machine does not matter; the message to the page is not in it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
TIMES = 30


def log_step(out, step: int) -> None:
    """One step of a training."""
    values = {"loss": 2 / (1 + step / 500) + 0.01 * (step * 7919 % 13), "lr": 1e-3, "tokens_per_s": 900.0}
    values |= {"validation_loss": 2.1 / (1 + step / 500)} if step % 500 == 0 else {}
    out.write(json.dumps({"event": "metrics", "step": step, "at": time.time(), "values": values}) + "\n")
    out.flush()


def measured(points: int) -> tuple[float, float, int]:
    """CPU milliseconds of a look that draws the curve anew, of one that finds nothing new, and bytes of all it says."""
    from made_jobs import made

    from mlaas_lab.job import JobHandle
    from mlaas_lab.lab import Lab
    from mlaas_lab.processes import identity
    from mlaas_lab.store.folder import JobFolder
    from mlaas_lab.widgets.watched import Watched

    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        lab, folder = Lab(), JobFolder(Path(home) / "job")
        folder.path.mkdir()
        alive = {"handle": {"launcher": identity(os.getpid())}}
        spec = {"data": "/x/rows.jsonl", "base": "tiny"}
        job = lab.store.add(made("3f9a01bc", task="finetune", spec=spec, folder=str(folder.path), **alive))
        with folder.events.open("a") as out:
            for step in range(points):
                log_step(out, step)
            watched = Watched(JobHandle(lab.jobs, job))
            watched.found()
            drawn, quiet = [], []
            for k in range(TIMES):
                log_step(out, points + k)
                began = time.process_time()
                said = watched.now(), watched.found(last=True)
                drawn.append(time.process_time() - began)
                began = time.process_time()
                watched.now(), watched.found()
                quiet.append(time.process_time() - began)
        lab.store.close()
    return 1000 * statistics.median(drawn), 1000 * statistics.median(quiet), len(json.dumps(said))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", default="1000,10000")
    print("| points of a curve | a look that draws it anew | a look without news | said |")
    print("|---:|---:|---:|---:|")
    for points in map(int, parser.parse_args().points.split(",")):
        drawn_ms, quiet_ms, size = measured(points)
        print(f"| {points:,} | {drawn_ms:.1f} ms CPU | {quiet_ms:.1f} ms CPU | {size / 1000:.1f} kB |", flush=True)


if __name__ == "__main__":
    main()
