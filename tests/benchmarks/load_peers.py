"""`load` beside GuideLLM and `vllm bench serve`: the same server on loopback, the same rate, turn by turn.

    make bench-load ARGS='[--rate 20] [--requests 400] [--rounds 2] [--only vllm,guidellm]'

The server streams 16 tokens, the first after about 200 ms and the others 10 ms apart. Its delays are dealt from a deck, a
log-normal's quantiles (sigma 0.1) in random order, as many as there are requests: everybody meets the same ones, so what
is apart are the clocks. All quantiles are taken here, from what each tool says of every request. Exit code 1 where one
is more than 5 % apart.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers_environments
import vllm_environment

from mlaas_lab.context import Context
from mlaas_lab.records import read
from mlaas_lab.settings import Settings
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.run import run

TOKENS, MEDIAN_S, SIGMA, GAP_S = 16, 0.2, 0.1, 0.01
APART = 0.05
TOLD = ("TPOT p99", "requests/s")
VLLM = vllm_environment.HOME / "bin" / "python"
BENCH = (
    f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r});"
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main;"
    "parser = argparse.ArgumentParser(); add_cli_args(parser); main(parser.parse_args())"
)
"""Its command line, without the `vllm` program, which the CPU build's name breaks; pandas, if it lacks it, is ours."""

Found = dict[str, float]
"""Milliseconds, by time and percentile; and requests a second."""


def deck(n: int) -> list[float]:
    """Delays to the first token in seconds (n,), one of each n-th of the distribution, shuffled."""
    quantiles = [statistics.NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)]
    random.Random(0).shuffle(quantiles)
    return [MEDIAN_S * float(np.exp(SIGMA * z)) for z in quantiles]


async def serve(n: int) -> None:
    """Stream as vLLM does; print where it listens, and run until it is killed."""
    delays = cycle(deck(n))

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(next(delays))
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        for n in range(TOKENS):
            choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": "stop" if n == TOKENS - 1 else None}
            await response.write(b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n")
            await asyncio.sleep(GAP_S if n < TOKENS - 1 else 0)
        usage = {"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS}
        await response.write(b"data: " + json.dumps({**head, "choices": [], "usage": usage}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def figures(first_s: Sequence[float], latency_s: Sequence[float], rate: float) -> Found:
    """What every request's times come to."""
    rest_s = np.array(latency_s) - np.array(first_s)
    times = {"TTFT": first_s, "TPOT": rest_s / (TOKENS - 1), "latency": latency_s}
    found = {
        f"{name} {q}": 1000 * float(np.quantile(times[name], int(q[1:]) / 100))
        for name in times
        for q in ("p50", "p99")
    }
    return {**found, "requests/s": rate}


def ours(url: str, args: argparse.Namespace) -> Found:
    """What `load` finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        context = Context(JobFolder(path), Settings(data_dir=path, cache_dir=path), job_id="bench", name="bench")
        context.note = lambda text: None  # type: ignore[method-assign]
        words = {"rate": args.rate, "requests": args.requests, "output_tokens": TOKENS, "warmup": 0.0}
        gc.collect()
        gc.freeze()
        found = run(build(Load, {"targets": f"openai/m?base_url={url}/v1", **words}), context).result
        records = read(context.folder.records)
    assert len(records) == args.requests
    assert found["errors"] == 0
    return figures(records["ttft_s"].to_list(), records["latency_s"].to_list(), found["throughput"]["requests_per_s"])


def prompts(folder: Path, n: int) -> Path:
    """A file with a question for each request."""
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"question {i}"}) + "\n" for i in range(n)))
    return path


def told(command: Sequence[object], **env: str) -> None:
    """Run a peer; what it says is shown only if it fails."""
    line = [str(part) for part in command]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, **env})
    if done.returncode:
        sys.exit(done.stdout[-1000:] + done.stderr[-3000:])


def vllm(url: str, args: argparse.Namespace) -> Found:
    """What `vllm bench serve` finds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = {
            "backend": "openai-chat", "base-url": url, "endpoint": "/v1/chat/completions", "model": "m",
            "dataset-name": "custom", "dataset-path": prompts(folder, args.requests), "custom-output-len": TOKENS,
            "num-prompts": args.requests, "request-rate": args.rate, "result-dir": folder,
            "result-filename": "result.json",
        }  # fmt: skip
        line = [part for name, value in words.items() for part in (f"--{name}", value)]
        line += ["--skip-tokenizer-init", "--disable-tqdm", "--save-result", "--save-detailed", "--skip-chat-template"]
        told([VLLM, "-c", BENCH, *line])
        found = json.loads((folder / "result.json").read_text())
    assert len(found["ttfts"]) == args.requests
    latency_s = [first + sum(gaps) for first, gaps in zip(found["ttfts"], found["itls"], strict=True)]
    return figures(found["ttfts"], latency_s, found["request_throughput"])


def guidellm(url: str, args: argparse.Namespace) -> Found:
    """What GuideLLM finds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = {
            "backend": f"kind=openai_http,target={url},model=m,validate_backend=false",
            "profile": f"kind=poisson,rate={args.rate:g}",
            "constraint": f"kind=max_requests,count={args.requests}",
            "data": f"kind=json_file,path={prompts(folder, args.requests)}",
            "output": f"kind=json,path={folder / 'result.json'}",
        }
        line = [part for name, value in words.items() for part in (f"--{name}", value)]
        program = peers_environments.python("guidellm").parent / "guidellm"
        told([program, "run", *line, "--disable-console"], HF_HUB_OFFLINE="1", HF_HOME=place)
        (found,) = json.loads((folder / "result.json").read_text())["benchmarks"]
    every = [one["info"]["timings"] for one in found["requests"]["successful"]]
    assert len(every) == args.requests
    first_s = [one["first_token_iteration"] - one["request_start"] for one in every]
    latency_s = [one["last_token_iteration"] - one["request_start"] for one in every]
    sent = [one["request_start"] for one in every]
    wall_s = max(one["request_end"] for one in every) - min(sent)
    return figures(first_s, latency_s, len(every) / wall_s)


PEERS: Mapping[str, Callable[[str, argparse.Namespace], Found]] = {"vllm": vllm, "guidellm": guidellm}
NAMES = {"vllm": "vllm bench serve", "guidellm": "GuideLLM"}


def show(rounds: Sequence[Mapping[str, Found]]) -> bool:
    """Printed: medians of the rounds; whether all times are within the bound. Rates are as the tools' clocks had them."""
    peers = [name for name in rounds[0] if name != "load"]
    print(f"{'':12}{'load':>9}" + "".join(f"{NAMES[name]:>18}{'ours / its':>12}" for name in peers))
    held = True
    for what in rounds[0]["load"]:
        mid = {name: statistics.median(one[name][what] for one in rounds) for name in ("load", *peers)}
        row = f"{what:12}{mid['load']:9.2f}"
        for name in peers:
            ratio = mid["load"] / mid[name]
            held &= what in TOLD or abs(ratio - 1) <= APART
            row += f"{mid[name]:18.2f}{ratio:12.3f}"
        print(row)
    print(f"Every time within {APART:.0%} of theirs: {'holds' if held else 'DOES NOT HOLD'}.")
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default=",".join(PEERS))
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.requests))
    words = [sys.executable, __file__, "--serve", "--requests", str(args.requests)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        everybody = {"load": ours, **{name: PEERS[name] for name in args.only.split(",")}}
        rounds = [{name: ask(url, args) for name, ask in everybody.items()} for _ in range(args.rounds)]
    finally:
        server.kill()
        server.wait()
    print(f"{args.requests} requests at {args.rate:g}/s, {args.rounds} rounds; milliseconds, medians of the rounds\n")
    return int(not show(rounds))


if __name__ == "__main__":
    sys.exit(main())
