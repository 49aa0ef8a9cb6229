"""How much of a bare HTTP loop an evaluation keeps: same server, same requests, same process, scores and Parquet included.

    python tests/benchmarks/evaluation.py [--samples 5000] [--rounds 5] [--in-flight 8]

The server answers at once, from another process on another core where there are two. Rounds alternate, so that a busy
machine meets both alike; the table gives medians. The bare loop is what a user would write, on asyncio's own event loop;
beside it stands the same on the event loop that an evaluation runs on, which is uvloop where that is installed.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import aiohttp
from instant import apart

from mlaas_lab.context import Context
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import answers, run
from mlaas_lab.inference import on_loop
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval

BARE = "bare aiohttp loop"
BARE_ON_OURS = "the same on our event loop"


async def bare(url: str, prompts: list[str], in_flight: int) -> None:
    """The least that asks the same: one session, JSON in, JSON out, nothing kept."""
    left = iter(prompts)

    async def work(session: aiohttp.ClientSession) -> None:
        for prompt in left:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 256,
                "temperature": 0,
            }
            async with session.post(url, json=body) as response:
                await response.json()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(in_flight)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=8)
    args = parser.parse_args()
    with apart() as base_url, tempfile.TemporaryDirectory() as folder:
        compare(base_url, Path(folder), args)


def compare(base_url: str, folder: Path, args: argparse.Namespace) -> None:
    prompts = [f"Question {i}: my new card has not come, what is going on with it?" for i in range(args.samples)]
    rows = [[{"role": "user", "content": p}, {"role": "assistant", "content": "word " * 31 + "word"}] for p in prompts]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    spec = Eval(
        data=data, targets=(f"openai/m?base_url={base_url}",), metrics=("exact_match",), concurrency=args.in_flight
    )
    settings = Settings(data_dir=folder, cache_dir=folder)
    context = Context(JobFolder(folder), settings, job_id="bench", name="bench")
    plan = prepare(spec, settings)
    # As if the weights were known; no answer is taken over, each is left for others.
    priced = prepare(spec.model_copy(update={"targets": (f"openai/gpt-4o?emulated={base_url}",)}), settings)
    known = replace(plan, contents=dict.fromkeys(plan.routes, "known"), cache=False)
    url = f"{base_url}/chat/completions"
    steps: dict[str, Callable[[], object]] = {
        BARE: lambda: asyncio.run(bare(url, prompts, args.in_flight)),
        BARE_ON_OURS: lambda: on_loop(bare(url, prompts, args.in_flight)),
        "asked, scored, Parquet": lambda: answers(plan, context),
        "the same under a cap on money": lambda: answers(priced, context, fresh_budget(context.folder.budget)),
        "the same, kept for the cache": lambda: answers(known, context),
        "whole job, from data to verdict": lambda: run(spec, context),
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    show(took, args)


def fresh_budget(path: Path) -> Budget:
    """A thousand dollars, none of them spent."""
    path.unlink(missing_ok=True)
    return Budget(Decimal(1000), path)


def show(took: dict[str, list[tuple[float, float]]], args: argparse.Namespace) -> None:
    print(f"{args.samples} samples, {args.in_flight} in flight, medians of {args.rounds} rounds")
    print(
        "shares are of a bare loop in the same round, and of that on our event loop; CPU says the same on a busy machine\n"
    )
    print(f"{'':34}{'samples/s':>10}{'of bare':>9}{'of same':>9}{'CPU µs/sample':>15}{'of bare':>9}{'of same':>9}")
    for name, rounds in took.items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        (by_wall, by_cpu), (by_same_wall, by_same_cpu) = (shares(took[base], rounds) for base in (BARE, BARE_ON_OURS))
        print(
            f"{name:34}{args.samples / wall:10.0f}{by_wall:9.0%}{by_same_wall:9.0%}"
            f"{1e6 * cpu / args.samples:15.0f}{by_cpu:9.0%}{by_same_cpu:9.0%}"
        )


def shares(base: list[tuple[float, float]], mine: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the base's speed, by wall clock and by CPU: medians over rounds."""
    pairs = list(zip(base, mine, strict=True))
    wall, cpu = (statistics.median(theirs[i] / ours[i] for theirs, ours in pairs) for i in (0, 1))
    return wall, cpu


if __name__ == "__main__":
    main()
