"""How fast an evaluation is beside its peers: same machine, same server, same questions, in one run.

    python tests/peers_environments.py        # installs the peers beside, each for itself
    python tests/benchmarks/peers.py [--samples 5000] [--rounds 3] [--in-flight 8]

A server that answers at once, in a process of its own; one metric, exact match; everybody writes what he writes. The
slow ones get fewer questions, rates are per second. They take turns, and the table gives medians over rounds. Before
each turn it is measured what others do on this machine. Peers may use every core; we and the bare loop use one. The bare
loop runs on asyncio's own event loop, as a user would write it.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers_environments
from evaluation import bare
from instant import apart

import mlaas_lab
from mlaas_lab.context import Context
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import answers, run
from mlaas_lab.settings import Settings
from mlaas_lab.stats import paired
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval

QUESTION = "Question {}: my new card has not come, what is going on with it?"
ANSWER = " ".join(["word"] * 32)
HERE = Path(__file__).parent / "peers"
PAIRS = 5000
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One contestant's round."""

    samples: int
    wall_s: float
    cpu_s: float
    version: str

    @property
    def rate(self) -> float:
        return self.samples / self.wall_s

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu_s / self.samples


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Somebody who asks all the questions once when called."""

    name: str
    turn: Callable[[], Turn]
    asked: str = ""
    """What ours / its rate is to be at least."""


def ours(base_url: str, folder: Path, args: argparse.Namespace) -> list[Contestant]:
    """The bare loop and our two rows."""
    prompts = [QUESTION.format(i) for i in range(args.samples)]
    rows = [[{"role": "user", "content": p}, {"role": "assistant", "content": ANSWER}] for p in prompts]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    target = f"openai/m?base_url={base_url}"
    spec = Eval(data=data, targets=(target,), metrics=("exact_match",), concurrency=args.in_flight)
    settings = Settings(data_dir=folder, cache_dir=folder)
    context = Context(JobFolder(folder), settings, job_id="peers", name="peers")
    plan = prepare(spec, settings)

    def measured(step: Callable[[], object], version: str) -> Callable[[], Turn]:
        def turn() -> Turn:
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            return Turn(samples=args.samples, wall_s=wall_s, cpu_s=cpu_s, version=version)

        return turn

    async def loop() -> None:
        await bare(f"{base_url}/chat/completions", prompts, args.in_flight)

    def evaluated() -> None:
        records = answers(plan, context).records
        assert len(records) == args.samples
        assert records["exact_match"].sum() == args.samples

    version = mlaas_lab.__version__
    return [
        Contestant(name="bare aiohttp loop, json=", turn=measured(lambda: asyncio.run(loop()), aiohttp.__version__)),
        Contestant(name="mlaas eval: asked, scored, Parquet", turn=measured(evaluated, version)),
        Contestant(name="mlaas eval: data to verdict", turn=measured(lambda: run(spec, context), version)),
    ]


def peer(name: str, script: str, n: int, base_url: str, args: argparse.Namespace) -> Callable[[], Turn]:
    """What runs a peer once, in a process of its own; its imports and first questions are not counted."""

    def turn() -> Turn:
        with tempfile.TemporaryDirectory() as folder:
            given = {"base_url": base_url, "samples": n, "in_flight": args.in_flight, "folder": folder}
            given |= {"question": QUESTION, "answer": ANSWER}
            words = [str(peers_environments.python(name)), str(HERE / script), json.dumps(given)]
            done = subprocess.run(words, capture_output=True, text=True, cwd=folder, preexec_fn=everywhere)
        if done.returncode:
            raise SystemExit(f"{name}:\n{done.stderr[-3000:]}")
        return Turn(samples=n, **json.loads(done.stdout.strip().splitlines()[-1]))

    return turn


def everywhere() -> None:
    """Let this process use every core again."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, CORES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--inspect-samples", type=int, default=500)
    parser.add_argument("--mlflow-samples", type=int, default=100)
    args = parser.parse_args()
    for name in ("inspect_ai", "mlflow"):
        peers_environments.make(name)
    with apart() as base_url, tempfile.TemporaryDirectory() as folder:
        contest(base_url, Path(folder), args)
    bootstrap()


def contest(base_url: str, folder: Path, args: argparse.Namespace) -> None:
    contestants = [
        *ours(base_url, folder, args),
        Contestant(
            name="Inspect AI, eval",
            turn=peer("inspect_ai", "inspect_ai_eval.py", args.inspect_samples, base_url, args),
            asked="≥ 40",
        ),
        Contestant(
            name="mlflow.genai.evaluate",
            turn=peer("mlflow", "mlflow_evaluate.py", args.mlflow_samples, base_url, args),
            asked="≥ 200",
        ),
    ]
    for contestant in contestants[:3]:
        # Not counted: what is imported and compiled with the first use. Peers do the same in their own processes.
        contestant.turn()
    turns: dict[str, list[Turn]] = {contestant.name: [] for contestant in contestants}
    others: list[float] = []
    for _ in range(args.rounds):
        for contestant in contestants:
            # While this process sleeps, what is busy is somebody else.
            others.append(psutil.cpu_percent(interval=1.0))
            turns[contestant.name].append(contestant.turn())
    load = os.getloadavg()[2]
    print(f"{args.in_flight} in flight, medians of {args.rounds} rounds, {len(CORES)} cores;", end=" ")
    print(f"others used {statistics.median(others):.0f} % of them (at most {max(others):.0f} %), load {load:.1f}\n")
    show(contestants, turns)


def show(contestants: list[Contestant], turns: dict[str, list[Turn]]) -> None:
    """Rates, and ours by theirs: of each round's own pair, so that a busy machine meets both alike."""
    loop, mine = turns[contestants[0].name], turns[contestants[1].name]
    head = (
        f"{'version':>9}{'samples':>9}{'samples/s':>11}{'CPU µs/sample':>15}{'ours / it':>11}{'by CPU':>9}{'asked':>8}"
    )
    print(f"{'':36}{head}")
    for contestant in contestants:
        theirs = turns[contestant.name]
        rate, cpu_us = (statistics.median(getattr(turn, key) for turn in theirs) for key in ("rate", "cpu_us"))
        row = f"{contestant.name:36}{theirs[0].version:>9}{theirs[0].samples:>9}{rate:>11,.0f}{cpu_us:>15,.0f}"
        if theirs is not mine:
            pairs = list(zip(mine, theirs, strict=True))
            by_rate = statistics.median(m.rate / t.rate for m, t in pairs)
            by_cpu = statistics.median(t.cpu_us / m.cpu_us for m, t in pairs)
            asked = "≥ 0.75" if theirs is loop else contestant.asked
            row += f"{by_rate:>11.3g}{by_cpu:>9.3g}{asked:>8}"
        print(row)


def bootstrap() -> None:
    """A paired bootstrap of ours and scipy's, on scores that are right or wrong and on scores of any size."""
    paired.EVEN = math.inf  # drawn, however many there are
    generator = np.random.default_rng(0)
    right = {name: (generator.random(PAIRS) < share) * 1.0 for name, share in (("a", 0.80), ("b", 0.82))}
    graded = {name: generator.beta(5, 2, PAIRS) for name in ("a", "b")}
    print(
        f"\npaired bootstrap, {paired.RESAMPLES:,} resamples of {PAIRS:,} pairs, best of 3, seconds (asked: ours ≤ 1)\n"
    )
    print(f"{'':36}{'ours':>9}{'scipy':>9}")
    for name, scores, share in (("scores of 0 and 1", right, True), ("scores of any size", graded, False)):
        took = best(partial(paired.difference_limits, scores["b"] - scores["a"], share=share))
        print(f"{name:36}{took:>9.2f}{scipys(scores):>9}")


def scipys(scores: dict[str, np.ndarray]) -> str:
    """Seconds that `scipy.stats.bootstrap` takes for the same limits; a dash where it is not installed."""
    try:
        from scipy.stats import bootstrap as theirs
    except ImportError:
        return "–"

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return b.mean(axis=axis) - a.mean(axis=axis)

    def once() -> None:
        pair = (scores["a"], scores["b"])
        theirs(pair, difference, paired=True, n_resamples=paired.RESAMPLES, batch=500, method="percentile")

    return f"{best(once):.2f}"


def best(step: Callable[[], object]) -> float:
    """Seconds of the quickest of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    return min(took)


if __name__ == "__main__":
    main()
