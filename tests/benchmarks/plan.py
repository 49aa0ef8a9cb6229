"""What a plan is worth: `python tests/benchmarks/plan.py`. Prints tables; exit code 1 if a promise breaks.

Queues against their closed forms; a month of a million requests in CPU seconds; how often the band of a break-even
holds the truth; and a month that is forecast from a load test of a server whose queue is known, against that server
under the month's own traffic.
"""

import math
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_loads import frame, row

from mlaas_lab.planning.break_even import Estimate
from mlaas_lab.planning.demand import shaped
from mlaas_lab.planning.measured import Answers, Measured, Server, measured
from mlaas_lab.planning.month import Machine, owned
from mlaas_lab.planning.queueing import waits
from mlaas_lab.planning.rivals import rivals
from mlaas_lab.schema import Target

N = 2_000_000
MACHINE = Machine(usd_per_hour=Decimal(1), hours_per_day=24.0, source="", date=None, said="")
MONTH_S = 10.0
"""CPU seconds that a month of a million requests may take."""


def erlang(k: int, load: float) -> float:
    """Mean wait of M/M/k in services (Erlang 1917)."""
    terms = [load**i / math.factorial(i) for i in range(k)]
    last = load**k / math.factorial(k) / (1 - load / k)
    return last / (sum(terms) + last) / (k - load)


def queues() -> bool:
    """Mean waits of two million requests."""
    print("| queue | load of a place | mean wait, closed form | simulated |\n|---|---|---|---|")
    random, fine = np.random.default_rng(1), True
    cases = [("M/M/1", 1, 0.7, False), ("M/M/4", 4, 3.2, False), ("M/M/20", 20, 17.0, False), ("M/D/1", 1, 0.8, True)]
    for name, k, load, even in cases:
        times = np.cumsum(random.exponential(1 / load, N))
        services = np.ones(N) if even else random.exponential(1.0, N)
        known = load / (2 * (1 - load)) if even else erlang(k, load)
        found = float(waits(times, services, k).mean())
        fine &= abs(found / known - 1) < 0.03
        print(f"| {name} | {100 * load / k:.0f} % | {known:.4f} | {found:.4f} |")
    return fine


def served(latency_s: np.ndarray, places: int) -> Measured:
    """An endpoint of so many places."""
    known = Answers(latency_s=latency_s, ttft_s=None, input_tokens=None, output_tokens=None)
    per_s = places / float(latency_s.mean())
    bears = Estimate(value=per_s, low=per_s, high=per_s)
    server = Server(per_s=bears, places=places, answers=known, said="")
    return Measured(target=Target.parse("own"), name="own", own=True, answers=known, server=server)


def months() -> bool:
    """CPU seconds of the whole search for the number of servers."""
    print("\n| month | requests | places of a server | servers | CPU |\n|---|---|---|---|---|")
    random, fine = np.random.default_rng(2), True
    for shape, places in (("diurnal", 4), ("bursty", 32), ("bursty", 1)):
        one = served(random.gamma(4.0, 1.0, 3000), places)
        began = time.process_time()
        demand = shaped(shape, 33_400, days=30)
        found = owned(demand, one, MACHINE, bound_s=None)
        spent_s = time.process_time() - began
        fine &= spent_s < MONTH_S
        print(f"| {shape} | {demand.n:,} | {places} | {found.servers} | {spent_s:.1f} s |")
    return fine


def bands(times: int = 400) -> bool:
    """How often the band of a break-even holds what it is of the true price; costs of calls are log-normal."""
    random, held = np.random.default_rng(3), 0
    server = served(np.full(400, 1.0), 1000)
    true = 24 / (0.001 * math.exp(0.5**2 / 2))
    for _ in range(times):
        rows = [row(float(i), i + 0.1, i + 0.5, target="openai/gpt-4o", provider="openai") for i in range(100)]
        costs = np.ceil(1e9 * np.exp(0.5 * random.standard_normal(100))) / 1e12
        known = frame(rows).with_columns(intended_at=pl.lit(None, pl.Float64), cost_usd=pl.Series(costs).round(6))
        (pair,) = rivals([server, *measured(known, slo={})], MACHINE, utilisation=0.7)
        held += pair.found.low <= true <= (pair.found.high or math.inf)
    print(
        f"\nBreak-even, band of the price alone, 100 calls each: holds the truth in {100 * held / times:.1f} % of {times}."
    )
    return held / times > 0.91


def forecasts() -> bool:
    """A server of known places, loaded once; then a month of traffic on that server, forecast and real."""
    print("\n| load test | forecast p50 / p99 | real p50 / p99 | idle, forecast | idle, real |\n|---|---|---|---|---|")
    random, fine, places = np.random.default_rng(4), True, 8
    services = random.gamma(4.0, 0.25, 4000)
    for share in (0.5, 0.8, 0.9, 0.95):
        n = 4000
        times = np.sort(random.uniform(0, n / (share * places), n))
        ends = times + waits(times, services, places) + services
        rest = {"target": "own", "run_id": "r", "offered_rate": share * places, "input_tokens": 9, "output_tokens": 9}
        rows = [row(a, a + 0.01, b, **rest) for a, b in zip(times.tolist(), ends.tolist(), strict=True)]
        (one,) = measured(frame(rows), slo={})
        demand = shaped("diurnal", 0.3 * places * 86_400, days=2)
        found = owned(demand, one, MACHINE, bound_s=1e9)
        took = random.choice(services, demand.n)
        real = took + waits(demand.times_s, took, places)
        idle = 1 - float(took.sum()) / (places * demand.days * 86_400)
        p50, p99 = np.quantile(real, [0.5, 0.99])
        fine &= found.times is not None and found.times.p99_s > 0.9 * p99
        shown = "–" if found.times is None else f"{found.times.p50_s:.2f} / {found.times.p99_s:.2f} s"
        print(f"| at {share:.0%} | {shown} | {p50:.2f} / {p99:.2f} s | {found.idle:.0%} | {idle:.0%} |")
    return fine


if __name__ == "__main__":
    sys.exit(0 if all([queues(), months(), bands(), forecasts()]) else 1)
