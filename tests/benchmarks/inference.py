"""What the client costs: calls/s against a bare aiohttp loop and the openai SDK, on one instant server, in one run.

    python tests/benchmarks/inference.py [--calls 4000] [--in-flight 64] [--profile]

The server is a process of its own. The three take turns, several rounds each. The best round's rate counts, since what
slows a round down is somebody else; the CPU's ratio is the median over rounds, and says the same on a busy machine. The bare loop does the least that gives a text: `json=`, and the same JSON parser.
"""

import argparse
import asyncio
import contextlib
import cProfile
import pstats
import statistics
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import orjson

from mlaas_lab.inference import Client, Limits, resolve
from mlaas_lab.pricing import cost
from mlaas_lab.schema import Message
from mlaas_lab.settings import Settings
from mlaas_lab.wires import Params

MESSAGES = (Message(role="user", content="Say the word thirty-two times, please, and nothing else."),)
TEXT = "word " * 32


async def spread(calls: int, in_flight: int, one) -> float:
    """Calls/s of `one`, with so many in flight."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            text = await one()
            assert text.strip() == TEXT.strip(), text

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return calls / (time.perf_counter() - started)


async def bare(base_url: str, calls: int, in_flight: int, stream: bool) -> float:
    body = {"model": "m", "messages": [{"role": "user", "content": MESSAGES[0].content}], "max_tokens": 256}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    url = f"{base_url}/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def one() -> str:
            async with http.post(url, json=body) as response:
                if not stream:
                    return (await response.json(loads=orjson.loads))["choices"][0]["message"]["content"]
                pieces = []
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        choices = orjson.loads(line[6:])["choices"]
                        if choices:
                            pieces.append(choices[0]["delta"].get("content") or "")
                return "".join(pieces)

        await spread(in_flight, in_flight, one)
        return await spread(calls, in_flight, one)


async def ours(base_url: str, calls: int, in_flight: int, stream: bool) -> float:
    # The server stands in for the vendor, so that requests are signed and answers are priced as everywhere.
    route = resolve(f"openai/gpt-4.1-mini?emulated={base_url}", Settings())
    async with Client(Limits(concurrency=in_flight)) as client:

        async def one() -> str:
            done = await client.complete(route, MESSAGES, Params(), stream=stream)
            assert cost(route.target, done.usage, at=done.attempts[-1].ended_at).usd
            return done.text

        await spread(in_flight, in_flight, one)
        return await spread(calls, in_flight, one)


async def sdk(base_url: str, calls: int, in_flight: int, stream: bool) -> float:
    import openai

    messages = [{"role": "user", "content": MESSAGES[0].content}]
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def one() -> str:
            answer = await client.chat.completions.create(model="m", messages=messages, max_tokens=256, stream=stream)
            if not stream:
                return answer.choices[0].message.content
            return "".join([c.choices[0].delta.content or "" async for c in answer if c.choices])

        await spread(in_flight, in_flight, one)
        return await spread(calls, in_flight, one)


@contextlib.contextmanager
def instant():
    """Base URL of the instant server, in a process of its own."""
    script = Path(__file__).with_name("instant.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--calls", type=int, default=4000)
    words.add_argument("--in-flight", type=int, default=64)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--profile", action="store_true")
    args = words.parse_args()
    with instant() as base_url:
        if args.profile:
            profile(base_url, args.calls, args.in_flight)
            return
        print(f"{'':<22}{'client':<14}{'calls/s':>9}{'CPU µs/call':>13}{'of bare, by rate':>18}{'of bare, by CPU':>17}")
        for stream in (False, True):
            name = "streaming, 34 events" if stream else "non-streaming"
            rounds = measured(base_url, args, stream)
            for kind, label in ((bare, "bare aiohttp"), (ours, "mlaas_lab"), (sdk, "openai SDK")):
                if kind in rounds:
                    print(f"{name:<22}{label:<14}{row(rounds[kind], rounds[bare])}", flush=True)


def row(mine: list, base: list) -> str:
    rate, cpu_us = max(rate for rate, _ in mine), min(cpu_us for _, cpu_us in mine)
    by_rate = rate / max(rate for rate, _ in base)
    by_cpu = statistics.median(theirs / cpu_us for (_, cpu_us), (_, theirs) in zip(mine, base, strict=True))
    return f"{rate:>9,.0f}{cpu_us:>13,.0f}{by_rate:>18.0%}{by_cpu:>17.0%}"


def measured(base_url: str, args: argparse.Namespace, stream: bool) -> dict:
    """(calls/s, CPU µs per call) of each round of each client, by turns."""
    rounds: dict = {}
    for _ in range(args.rounds):
        for kind, calls in ((bare, args.calls), (ours, args.calls), (sdk, max(50, args.calls // 20))):
            with contextlib.suppress(ImportError):
                before = time.process_time()
                rate = asyncio.run(kind(base_url, calls, args.in_flight, stream))
                # The warm-up's calls are paid by every client alike, and so small beside the rest that they stay in.
                cpu_us = (time.process_time() - before) / (calls + args.in_flight) * 1e6
                rounds.setdefault(kind, []).append((rate, cpu_us))
    return rounds


def profile(base_url: str, calls: int, in_flight: int) -> None:
    for stream in (False, True):
        with cProfile.Profile() as seen:
            asyncio.run(ours(base_url, calls, in_flight, stream))
        pstats.Stats(seen).sort_stats("tottime").print_stats(22)


if __name__ == "__main__":
    main()
