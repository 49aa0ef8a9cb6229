"""How often the intervals that `load` states hold what is known: p50 and p99 of TTFT and latency, with a stall and without.

    python tests/benchmarks/load_intervals.py [--runs 400] [--whole 60] [--at-once 8]

First in virtual time, where the same sender and the same figures meet a target whose delays are known and nobody waits;
then whole loads, with sockets, clocks and records, each against a server of its own that draws its delays from a known
distribution. Where it is said, the target stands still for 2 s. Controls do what one should not, and must be seen to
fail. A row holds unless its share is surely below 95 %, and a control fails if it surely is (Wilson, 99 %). Exit code 1
if a row breaks.
"""

import argparse
import gc
import multiprocessing
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from known_server import Known
from made_loads import DURATION_S, REST_S, load, truth

from mlaas_lab.context import Context
from mlaas_lab.records import read
from mlaas_lab.settings import Settings
from mlaas_lab.spec import build
from mlaas_lab.stats.intervals import quantile_limits, wilson
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.figures import figures
from mlaas_lab.traffic.run import run

NOMINAL = 0.95
NARROW = 0.5
"""What the control's intervals hold, which takes them for intervals of 95 %."""
TIMES = {"ttft_s": 0.0, "latency_s": REST_S}
QUANTILES = {"p50": 0.5, "p99": 0.99}
WHOLE = {"median_s": 0.5, "sigma": 0.5}
"""Of whole loads: the p50 of so many lies within some 12 ms, so what a machine adds to every time counts little."""
WHOLE_RATE, WHOLE_S = 80.0, 8.0
LONG_S = 90.0
"""Of the loads that fool themselves: who waits for answers sends less, and few bound no p99."""

Limits = Mapping[tuple[str, str], tuple[float, float]]
"""By time and percentile."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to state intervals, over many runs."""

    name: str
    time: str
    q: str
    held: int
    runs: int
    control: bool

    def shown(self) -> bool:
        """Printed; whether it is as it must be."""
        low, high = wilson(self.held, self.runs, confidence=0.99)
        fine = (high < NOMINAL) if self.control else (high >= NOMINAL)
        words = ("seen to fail" if fine else "NOT SEEN") if self.control else ("holds" if fine else "DOES NOT HOLD")
        share = f"{self.held} of {self.runs}"
        print(f"{self.name:50}{self.time:>8} {self.q}{share:>13}{self.held / self.runs:8.1%}", end="")
        print(f"{low:8.1%} to {high:6.1%}  {words}", flush=True)
        return fine


def stated(found) -> Limits:
    """The 95 % intervals that figures of a load have."""
    return {(time, q): getattr(found, time).intervals[q] for time in TIMES for q in QUANTILES}


def narrow(records) -> Limits:
    """Intervals as one gets them from the normal's wrong quantile."""
    return {
        (time, q): quantile_limits(records[time].drop_nulls().to_numpy(), share, confidence=NARROW)
        for time in TIMES
        for q, share in QUANTILES.items()
    }


def rows(name: str, runs: Iterable[Limits], *, control: bool = False, only: str = "", **known) -> list[Row]:
    """Of how many runs each interval has what is known."""
    found, made = list(runs), []
    for time, rest_s in TIMES.items():
        for q, share in QUANTILES.items():
            if only and (time, q) != ("latency_s", only):
                continue
            true = truth(share, rest_s=rest_s, **known)
            held = sum(low <= true <= high for low, high in (one[time, q] for one in found))
            made.append(Row(name=name, time=time.removesuffix("_s"), q=q, held=held, runs=len(found), control=control))
    return made


def virtual(seed: int, *, stalls: bool, way: str = "open", duration_s: float = DURATION_S) -> tuple[Limits, Limits]:
    """One run in virtual time: what is stated, and the control's."""
    records = load(seed, way=way, stalls=stalls, duration_s=duration_s)
    return stated(figures(records, {})), narrow(records)


def whole(seed: int, *, stalls: bool) -> tuple[Limits, Limits]:
    """One load as a job runs it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Known(seed=seed, stalls_after_s=2.0 if stalls else None, **WHOLE) as server,
    ):
        path = Path(folder)
        context = Context(JobFolder(path), Settings(data_dir=path, cache_dir=path), job_id="bench", name="bench")
        context.note = lambda text: None  # type: ignore[method-assign]
        words = {"rate": WHOLE_RATE, "duration": WHOLE_S, "output_tokens": 2, "warmup": 0.0, "seed": seed}
        gc.collect()
        gc.freeze()
        result = run(build(Load, {"targets": f"openai/m?base_url={server.base_url}", **words}), context).result
        records = read(context.folder.records)
    return {(time, q): result[time]["intervals"][q] for time in TIMES for q in QUANTILES}, narrow(records)


def both(one, seeds: range, pool: ProcessPoolExecutor, **how) -> tuple[list[Limits], list[Limits]]:
    """What is stated in every run, and the control's."""
    found = [made.result() for made in [pool.submit(one, seed, **how) for seed in seeds]]
    return [mine for mine, _ in found], [wrong for _, wrong in found]


def in_virtual_time(runs: int, pool: ProcessPoolExecutor) -> list[Row]:
    made = []
    for stalls, words in ((False, "virtual, steady"), (True, "virtual, a stall of 2 s")):
        known = {"stalls": stalls, "duration_s": DURATION_S}
        mine, wrong = both(virtual, range(runs), pool, stalls=stalls)
        made += rows(words, mine, **known)
        made += rows(f"control: {words}, {100 * NARROW:.0f} % for 95 %", wrong, control=True, **known)
    for way in ("closed", "from its leaving"):
        mine, _ = both(virtual, range(max(20, runs // 10)), pool, way=way, stalls=True, duration_s=LONG_S)
        made += rows(f"control: {way}, a stall of 2 s", mine, control=True, only="p99", stalls=True, duration_s=LONG_S)
    return made


def on_sockets(runs: int, pool: ProcessPoolExecutor) -> list[Row]:
    made = []
    for stalls, words in ((False, "whole, steady"), (True, "whole, a stall of 2 s")):
        known = {"stalls": stalls, "duration_s": WHOLE_S, **WHOLE}
        mine, wrong = both(whole, range(runs), pool, stalls=stalls)
        made += rows(words, mine, **known)
        made += rows(f"control: {words}, {100 * NARROW:.0f} % for 95 %", wrong, control=True, **known)
    return made


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--runs", type=int, default=400, help="in virtual time")
    words.add_argument("--whole", type=int, default=60, help="of whole loads, 10 s each")
    words.add_argument("--at-once", type=int, default=8, help="of whole loads")
    args = words.parse_args()
    print(f"{'':50}{'':11}{'held by':>13}{'share':>8}{'99 % interval':>18}")
    fine, there = True, multiprocessing.get_context("forkserver")
    there.set_forkserver_preload(["load_intervals"])
    for part, runs, at_once in ((in_virtual_time, args.runs, None), (on_sockets, args.whole, args.at_once)):
        with ProcessPoolExecutor(at_once, mp_context=there) as pool:
            for row in part(runs, pool) if runs else []:
                fine &= row.shown()
    print("\nAll hold." if fine else "\nNot all hold.")
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
