"""What `serve` adds to a server's start, beside the same command line started by hand.

    python tests/benchmarks/serving.py [--engine transformers] [--rounds 5]

Ready is when a token was generated. By hand it is asked for one every 50 ms; both take turns at going first, and the
cell of a notebook that submits counts too. Exit code 1 where the median of the differences is more than a second.
"""

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from mlaas_lab import registry
from mlaas_lab.environment import keyless, surroundings
from mlaas_lab.lab import Lab
from mlaas_lab.serving import Weights, Wishes
from mlaas_lab.serving._health import NotListening, one_token
from mlaas_lab.serving._plan import free_port
from mlaas_lab.spec import build
from mlaas_lab.tasks.serve import Serve

HERE = Path(__file__).parent
OVERHEAD_S = 1.0
LOOK_S = 0.05
SETTLE_S = 5.0
"""For the system to take back the memory of the server before."""


def by_hand(engine: str, base: Path, folder: Path) -> float:
    """Seconds from the command to the first token."""
    wishes = Wishes(port=free_port(0), threads=os.cpu_count() or 1, device="auto", batch=True, key="k", dtype="float32")
    weights = Weights(name="base", source="base", base=base)
    launch = registry.load("engine", engine).launch([weights], wishes, folder)
    env = (keyless if launch.isolated else surroundings)(**launch.environment)
    began = time.perf_counter()
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(launch.command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        while True:
            try:
                place = f"http://127.0.0.1:{wishes.port}/v1"
                one_token(place, launch.models["base"], timeout_s=600, key=launch.key)
                return time.perf_counter() - began
            except NotListening:
                if server.poll() is not None:
                    raise RuntimeError((folder / "log.txt").read_text()[-3000:]) from None
                time.sleep(LOOK_S)
    finally:
        family = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait(30)
        psutil.wait_procs(family, timeout=15)


def by_serve(engine: str, base: Path, lab: Lab) -> float:
    """Seconds from the cell to the job that is ready."""
    spec = build(Serve, {"models": (str(base),), "engine": engine, "dtype": "float32"})
    began = time.perf_counter()
    job = lab.jobs.submit("serve", spec)
    while not job.job.ready:
        if job.state.ended:
            raise RuntimeError("\n".join(job.logs()))
        time.sleep(LOOK_S)
    took_s = time.perf_counter() - began
    job.cancel().wait_end(30)
    return took_s


def ready(engine: str, rounds: int) -> bool:
    """Printed; whether the median of the differences holds."""
    make_model = runpy.run_path(str(HERE.parent / "serving" / "conftest.py"))["make_model"]
    hands, serves = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ |= {"MLAAS_DATA_DIR": str(folder / "data"), "MLAAS_CACHE_DIR": str(folder / "cache")}
        base, lab = make_model(folder / "base", width=128), Lab()
        for n in range(rounds + 1):
            for by, found in (("hand", hands), ("serve", serves))[:: 1 if n % 2 else -1]:
                time.sleep(SETTLE_S)
                where = folder / f"{by}{n}"
                where.mkdir()
                found.append(by_hand(engine, base, where) if by == "hand" else by_serve(engine, base, lab))
        lab.store.close()
    # The first round reads every library from the disk.
    added = [b - a for a, b in zip(hands[1:], serves[1:], strict=True)]
    print(f"\n{'engine ' + engine:24}{'to the first token':>20}{'fastest':>10}{'slowest':>10}")
    for name, found in (("by hand", hands[1:]), ("serve", serves[1:])):
        print(f"{name:24}{statistics.median(found):18.2f} s{min(found):8.2f} s{max(found):8.2f} s")
    median = statistics.median(added)
    held = median <= OVERHEAD_S
    print(f"serve adds {median:.2f} s ({min(added):.2f} to {max(added):.2f} s in {rounds} rounds);", end=" ")
    print(f"at most {OVERHEAD_S:g} s: {'holds' if held else 'DOES NOT HOLD'}.")
    return held


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--engine", default="transformers", choices=("transformers", "vllm"))
    words.add_argument("--rounds", type=int, default=5)
    args = words.parse_args()
    return int(not ready(args.engine, args.rounds))


if __name__ == "__main__":
    sys.exit(main())
