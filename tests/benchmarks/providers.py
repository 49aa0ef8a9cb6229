"""What a provider costs: importing one, signing a call, a call's own time, and how true its clock is.

    python tests/benchmarks/providers.py [--calls 2000] [--in-flight 200] [--rounds 5]

The truth is the emulator's own clock, in a process of its own: time to first token and latency as our client measured
them, less what the emulator says of the very same request. On a virtual machine the host takes the processors away now and
then, for tens of milliseconds, and no client there can be truer at p99 than that: each round says how long it did
(steal, as Linux counts it), and the round that lost least speaks for the client.
"""

import argparse
import asyncio
import gc
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from mlaas_lab import registry
from mlaas_lab.inference import Client, Limits, resolve
from mlaas_lab.schema import Message, Target
from mlaas_lab.settings import Settings
from mlaas_lab.signing import Request
from mlaas_lab.wires import Params

ASK = (Message(role="user", content="one two three four five six seven eight"),)
SERVER = """
import gc, sys
from mlaas_lab import registry
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Scene, Server
scene = Scene(ttft_s=float(sys.argv[1]), tokens_per_s=float(sys.argv[2]) or None)
with Server(registry.load("emulator", "openai"), mind=echo, scene=scene) as server:
    gc.collect()
    gc.freeze()
    print(server.base_url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def emulator(ttft_s: float, tokens_per_s: float):
    """Base URL of an emulator in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(ttft_s), str(tokens_per_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def imports() -> None:
    """Milliseconds to import each provider, after the package's own nouns; best of 3."""
    before = "import mlaas_lab.providers, mlaas_lab.wires, mlaas_lab.signing, time; a = time.perf_counter(); "
    took = {}
    for name in registry.names("provider"):
        code = f"{before}import mlaas_lab.providers.{name}; print((time.perf_counter() - a) * 1e3)"
        took[name] = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3))
    worst = max(took, key=took.get)
    print(
        f"import of one provider          worst {worst} {took[worst]:.1f} ms, median {statistics.median(took.values()):.1f} ms"
    )


def signing() -> None:
    """Microseconds to sign a call to Bedrock."""
    api = registry.load("provider", "bedrock")
    sign = next(sign for sign in api.signs if len(sign.keys) > 1)
    target = Target.parse("bedrock/m?region=eu-central-1")
    url = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m%3A0/converse"
    asked = Request(
        url=url, headers={"Content-Type": "application/json"}, body=b"x" * 2000, target=target, at=time.time()
    )
    sign.headers(asked, lambda name: f"key-{name}")
    n, began = 3000, time.perf_counter()
    for _ in range(n):
        sign.headers(asked, lambda name: f"key-{name}")
    print(f"signing a call (SigV4)          {(time.perf_counter() - began) / n * 1e3:.3f} ms")


async def alone(calls: int) -> None:
    """Milliseconds that our client adds to a call when it is alone, against the same call by bare aiohttp."""
    with emulator(0, 0) as base_url:
        route = resolve(f"openai/gpt-4.1-mini?emulated={base_url}", Settings())
        body = route.api.wire.body(prompt(route), Params(), False)
        headers = {"Authorization": "Bearer emulated-OPENAI_API_KEY"}
        ours, bare = [], []
        async with Client() as client, aiohttp.ClientSession() as http:
            for _ in range(calls):
                began = time.perf_counter()
                await client.complete(route, ASK)
                ours.append(time.perf_counter() - began)
                began = time.perf_counter()
                async with http.post(route.url, json=body, headers=headers) as response:
                    await response.json(loads=orjson.loads)
                bare.append(time.perf_counter() - began)
    added = statistics.median(ours) - statistics.median(bare)
    print(f"a call alone                    {statistics.median(ours) * 1e3:.2f} ms, added {added * 1e3:.2f} ms at p50")


def prompt(route):
    from mlaas_lab.wires import Prompt

    return Prompt(model=route.model, messages=ASK)


@dataclass(frozen=True)
class Off:
    """How far two clocks are apart, in seconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, off_s: list[float]) -> "Off":
        ordered = sorted(abs(value) for value in off_s)
        return cls(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)])

    def __str__(self) -> str:
        return f"{self.p50 * 1e3:.2f} ms at p50, {self.p99 * 1e3:.2f} ms at p99"


async def truth(calls: int, in_flight: int) -> tuple[Off, Off]:
    """Our stamps against the emulator's, request by request; a call takes about 1.2 s, and they begin evenly."""
    done: list = []
    left = iter(range(calls))
    with emulator(0.8, 20) as base_url:
        route = resolve(f"openai/gpt-4.1-mini?emulated={base_url}", Settings())
        async with Client(Limits(concurrency=in_flight)) as client, aiohttp.ClientSession() as http:

            async def worker(n: int) -> None:
                await asyncio.sleep(1.2 * n / in_flight)
                for _ in left:
                    done.append(await client.complete(route, ASK, stream=True))  # noqa: PERF401

            gc.collect()  # as the process of a job does, before its entry begins
            gc.freeze()
            await asyncio.gather(*(worker(n) for n in range(in_flight)))
            async with http.get(base_url.removesuffix("/v1") + "/_emulator") as answer:
                ledger = {f"req_{int(one['asked_at'] * 1e6):x}": one for one in await answer.json()}
    pairs = [(one, ledger[one.request_id]) for one in done]
    first = [one.ttft_s - (it["first_token_at"] - it["asked_at"]) for one, it in pairs]
    whole = [one.latency_s - (it["ended_at"] - it["asked_at"]) for one, it in pairs]
    return Off.of(first), Off.of(whole)


def rounds(calls: int, in_flight: int, n: int) -> None:
    """`n` rounds of `truth`."""
    found = []
    for _ in range(n):
        before = stolen_s()
        first, whole = asyncio.run(truth(calls, in_flight))
        found.append((stolen_s() - before, first, whole))
        print(f"  the host took {found[-1][0]:5.2f} s: first token off by {first}; latency by {whole}")
    _, first, whole = min(found, key=lambda one: one[0])
    print(f"time to first token, {in_flight} at once off by {first} (n {calls:,}, the quietest of {n} rounds)")
    print(f"latency, {in_flight} at once             off by {whole}")


def stolen_s() -> float:
    """Seconds of processor time that the host has given to others, since boot."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--calls", type=int, default=2000)
    words.add_argument("--in-flight", type=int, default=200)
    words.add_argument("--rounds", type=int, default=5)
    args = words.parse_args()
    imports()
    signing()
    asyncio.run(alone(args.calls // 2))
    rounds(args.calls, args.in_flight, args.rounds)


if __name__ == "__main__":
    main()
