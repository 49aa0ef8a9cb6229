"""What the front costs: requests/s on one core and what it adds at p50, beside LiteLLM's proxy, on one instant server.

    python tests/peers_environments.py litellm        # installs LiteLLM beside, for itself
    python tests/benchmarks/front.py [--requests 2000] [--rounds 5] [--in-flight 32] [--without-peer]

All three are asked by the same raw client for the same answer: the server itself, through the front, and through the
proxy; each with a key of its own. They take turns, and the tables give medians over rounds. A rate on one core is
requests by the CPU time that the process in between spent on them, which says the same on a busy machine. What is added
at p50 is measured one request at a time, against the server itself in the same round.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers_environments
from made_jobs import made

from mlaas_lab.schema import Endpoint, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store

HERE = Path(__file__).parent
KEY = "sk-benchmark"
MODEL = "instant"
ADDED_MS = 1.0
TIMES = 15.0
MESSAGES = [{"role": "user", "content": "Say the word thirty-two times, please, and nothing else."}]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Something that answers at a port."""

    name: str
    port: int
    key: str
    pid: int | None
    """Whose CPU time counts; None for the server itself."""

    def request(self, *, stream: bool) -> bytes:
        body = json.dumps({"model": MODEL, "messages": MESSAGES, "stream": stream}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
        )
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def cpu_s(self) -> float:
        if self.pid is None:
            return 0.0
        process = psutil.Process(self.pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        return sum(one.user + one.system for one in times)


class Asking(asyncio.Protocol):
    """Sends the same request again and again on one connection, and takes the time of each."""

    def __init__(self, request: bytes, left: list[int], took_s: list[float], done: asyncio.Future) -> None:
        self.request, self.left, self.took_s, self.done = request, left, took_s, done
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        if not self.left:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self.left.pop()
        self.at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.received[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            self.done.set_exception(RuntimeError(self.received.decode(errors="replace")[:500]))
            return
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        if self.received.endswith(b"0\r\n\r\n") if size is None else len(self.received) - end - 4 >= size:
            self.took_s.append(time.perf_counter() - self.at)
            self.received = b""
            self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"hung up: {error}"))


async def asked(one: Contestant, requests: int, in_flight: int, *, stream: bool) -> list[float]:
    """Seconds that each request took."""
    loop = asyncio.get_running_loop()
    left, took_s = [0] * requests, list[float]()
    every = [loop.create_future() for _ in range(in_flight)]
    for done in every:
        made_by = lambda done=done: Asking(one.request(stream=stream), left, took_s, done)  # noqa: E731
        await loop.create_connection(made_by, "127.0.0.1", one.port)
    await asyncio.gather(*every)
    return took_s


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(command: list[str], **more):
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(20)


@contextmanager
def front(base_url: str, folder: Path):
    """Our front, started by its command over a store with one endpoint."""
    settings = Settings(data_dir=folder / "data", cache_dir=folder / "cache")
    store = Store(settings.store_path)
    store.add(made("benchmark", task="serve", folder=str(folder)))
    # The launcher of a job that runs is looked for: this process stands for it.
    from mlaas_lab.processes import identity

    store.move("benchmark", JobState.RUNNING, attempt=1, handle=identity(os.getpid()))
    place = {"base_url": base_url, "model": MODEL, "engine": "vllm", "source": MODEL}
    store.announce(Endpoint(name=MODEL, job_id="benchmark", ready=True, **place), attempt=1)
    env = {**os.environ, "MLAAS_DATA_DIR": str(settings.data_dir), "MLAAS_CACHE_DIR": str(settings.cache_dir)}
    shell = [sys.executable, "-m", "mlaas_lab.cli"]
    told = subprocess.run([*shell, "front", "--token", "--json"], env=env, capture_output=True, text=True, check=True)
    said = json.loads(told.stdout)
    try:
        port = int(said["base_url"].split(":")[2].split("/")[0])
        pid = store.job(said["job_id"]).handle["entry"]["pid"]
        yield Contestant(name="the front", port=port, key=said["token"], pid=pid)
    finally:
        subprocess.run([*shell, "cancel", said["job_id"], "--json"], env=env, capture_output=True, check=True)
        store.close()


@contextmanager
def litellm(base_url: str, folder: Path):
    """LiteLLM's proxy with one worker, as its documentation starts it, and nothing logged."""
    place = {"model": f"openai/{MODEL}", "api_base": base_url, "api_key": KEY}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": place}],
        "general_settings": {"master_key": KEY},
    }
    (folder / "litellm.yaml").write_text(json.dumps(config))
    port, program = free_port(), peers_environments.python("litellm").parent / "litellm"
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    command = [str(program), "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            one = Contestant(name="LiteLLM's proxy", port=port, key=KEY, pid=running.pid)
            wait_for(one, running, folder / "litellm.log")
            yield one
        finally:
            running.terminate()
            running.wait(20)


def wait_for(one: Contestant, running: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            asyncio.run(asked(one, 3, 1, stream=False))
            return
        except (OSError, RuntimeError):
            if running.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-3000:]) from None
            time.sleep(1)


def measured(every: list[Contestant], args: argparse.Namespace, *, stream: bool) -> dict[str, dict[str, list[float]]]:
    """Per contestant: rates by CPU and by the clock, p50 alone."""
    found = {one.name: {"per_core": [], "per_s": [], "p50_ms": []} for one in every}
    for _ in range(args.rounds):
        for one in every:
            n = args.requests if one.name != "LiteLLM's proxy" else max(args.in_flight, args.requests // 10)
            cpu, wall = one.cpu_s(), time.perf_counter()
            asyncio.run(asked(one, n, args.in_flight, stream=stream))
            wall, cpu = time.perf_counter() - wall, one.cpu_s() - cpu
            found[one.name]["per_s"].append(n / wall)
            found[one.name]["per_core"].append(n / cpu if cpu else float("nan"))
        for one in every:
            took_s = asyncio.run(asked(one, args.alone, 1, stream=stream))
            found[one.name]["p50_ms"].append(1e3 * statistics.median(took_s))
    return found


def table(found: dict[str, dict[str, list[float]]], *, what: str) -> list[str]:
    """Printed; returns what is missed."""
    direct, missed = found["the server itself"]["p50_ms"], []
    print(f"\n{what}")
    print(f"{'':20}{'requests/s of a core':>22}{'by the clock':>14}{'p50':>10}{'added at p50':>14}")
    added, rate = {}, {}
    for name, one in found.items():
        rate[name] = statistics.median(one["per_core"])
        added[name] = statistics.median(a - b for a, b in zip(one["p50_ms"], direct, strict=True))
        shown = "" if name == "the server itself" else f"{rate[name]:,.0f}"
        extra = "" if name == "the server itself" else f"{added[name]:.2f} ms"
        clock, p50 = statistics.median(one["per_s"]), statistics.median(one["p50_ms"])
        print(f"{name:20}{shown:>22}{clock:>14,.0f}{f'{p50:.2f} ms':>10}{extra:>14}")
    if added["the front"] > ADDED_MS:
        missed.append(f"{what}: the front adds {added['the front']:.2f} ms at p50, more than {ADDED_MS} ms")
    if "LiteLLM's proxy" in rate:
        times = rate["the front"] / rate["LiteLLM's proxy"]
        print(f"The front answers {times:.1f} times as many requests a second of a core; asked: {TIMES:g}.")
        if times < TIMES:
            missed.append(f"{what}: {times:.1f} times LiteLLM's proxy, less than {TIMES:g}")
    return missed


def main() -> int:
    words = argparse.ArgumentParser()
    words.add_argument("--requests", type=int, default=2000)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--in-flight", type=int, default=32)
    words.add_argument("--alone", type=int, default=200, help="requests a round, one at a time, for p50")
    words.add_argument("--without-peer", action="store_true")
    args = words.parse_args()
    with ExitStack() as open_until_the_end:
        folder = Path(open_until_the_end.enter_context(tempfile.TemporaryDirectory()))
        server = open_until_the_end.enter_context(process([sys.executable, str(HERE / "instant.py")]))
        base_url = server.stdout.readline().strip()
        port = int(base_url.split(":")[2].split("/")[0])
        every = [Contestant(name="the server itself", port=port, key=KEY, pid=None)]
        every.append(open_until_the_end.enter_context(front(base_url, folder)))
        if not args.without_peer:
            every.append(open_until_the_end.enter_context(litellm(base_url, folder)))
        for one in every:
            asyncio.run(asked(one, 50, 4, stream=False))
        missed = table(measured(every, args, stream=False), what="Whole answers")
        missed += table(measured(every, args, stream=True), what="Streams of 35 events")
    print("\n".join(["", *missed]) if missed else "\nBoth hold.")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
