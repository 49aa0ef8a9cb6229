"""What `load` offers against what was asked for, up to 1,000 requests a second on one core, records on disk included.

    python tests/benchmarks/load.py [--rates 50,200,500,1000] [--duration 5] [--no-stream]

The server answers at once, from another process on another core where there are two. Late is how long after it was
wanted a request left; CPU is our own thread's, so it says the same on a busy machine. Exit code 1 where what was sent is
more than 1 % off, or fails.
"""

import argparse
import gc
import sys
import tempfile
from pathlib import Path

from instant import apart

from mlaas_lab.context import Context
from mlaas_lab.settings import Settings
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.run import run

OFF = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="50,200,500,1000")
    parser.add_argument("--duration", type=float, default=5.0)
    parser.add_argument("--no-stream", dest="stream", action="store_false")
    args = parser.parse_args()
    with apart() as base_url:
        print(f"\n{'offered/s':>10}{'arrivals':>10}{'sent/s':>9}{'off by':>9}{'late p50':>10}{'late p99':>10}", end="")
        print(f"{'CPU':>6}{'CPU µs/request':>16}{'failed':>8}")
        rates = map(float, args.rates.split(","))
        held = [show(base_url, rate, kind, args) for rate in rates for kind in ("constant", "poisson")]
    print(f"Within {OFF:.0%} of what was asked for: {'holds' if all(held) else 'DOES NOT HOLD'}.")
    return int(not all(held))


def show(base_url: str, rate: float, kind: str, args: argparse.Namespace) -> bool:
    """Printed; whether it holds."""
    words = {"rate": rate, "arrivals": kind, "duration": args.duration, "stream": args.stream, "warmup": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        context = Context(JobFolder(path), Settings(data_dir=path, cache_dir=path), job_id="bench", name="bench")
        context.note = lambda text: None  # type: ignore[method-assign]
        # As the process of a job does before its entry runs.
        gc.collect()
        gc.freeze()
        found = run(build(Load, {"targets": f"openai/m?base_url={base_url}", **words}), context).result
    cpu, off = found["client"]["cpu_share"], found["sent_per_s"] / rate - 1
    print(
        f"{rate:10.0f}{kind:>10}{found['sent_per_s']:9.1f}{off:9.2%}"
        f"{1000 * found['late_p50_s']:7.1f} ms{1000 * found['late_p99_s']:7.1f} ms{cpu:6.0%}{1e6 * cpu / rate:16.0f}"
        f"{found['errors']:8}",
        flush=True,
    )
    return abs(off) <= OFF and not found["errors"]


if __name__ == "__main__":
    sys.exit(main())
