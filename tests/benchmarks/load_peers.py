"""`load` beside `vllm bench serve`: the same server on loopback, the same rate, one after the other, turn by turn.

    python tests/benchmarks/load_peers.py VLLM_PYTHON [--rate 20] [--requests 400] [--rounds 2]

VLLM_PYTHON is an interpreter with vLLM in it (`make vllm`). The server streams 16 tokens, the first after about 200 ms
(log-normal, sigma 0.1) and the others 10 ms apart, so both tools can keep up and should find the same.
"""

import argparse
import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from aiohttp import web

from mlaas_lab.context import Context
from mlaas_lab.settings import Settings
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.run import run

TOKENS, MEDIAN_S, SIGMA, GAP_S = 16, 0.2, 0.1, 0.01
BENCH = (
    f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r});"
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main;"
    "parser = argparse.ArgumentParser(); add_cli_args(parser); main(parser.parse_args())"
)
"""Its command line, without the `vllm` program, which the CPU build's name breaks; pandas, if it lacks it, is ours."""


async def answer(request: web.Request) -> web.StreamResponse:
    """A stream as vLLM sends it."""
    await request.read()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await asyncio.sleep(MEDIAN_S * random.lognormvariate(0.0, SIGMA))
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for n in range(TOKENS):
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": "stop" if n == TOKENS - 1 else None}
        await response.write(b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n")
        await asyncio.sleep(GAP_S if n < TOKENS - 1 else 0)
    usage = {"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS}
    await response.write(b"data: " + json.dumps({**head, "choices": [], "usage": usage}).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


async def serve() -> None:
    """Print where it listens, and run until it is killed."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def ours(url: str, args: argparse.Namespace) -> dict[str, float]:
    """What `load` finds, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        context = Context(JobFolder(path), Settings(data_dir=path, cache_dir=path), job_id="bench", name="bench")
        context.note = lambda text: None  # type: ignore[method-assign]
        words = {"rate": args.rate, "requests": args.requests, "output_tokens": TOKENS, "warmup": 0.0}
        gc.collect()
        gc.freeze()
        found = run(build(Load, {"targets": f"openai/m?base_url={url}/v1", **words}), context).result
    return {
        f"{name} {q}": 1000 * found[field][q]
        for name, field in {"TTFT": "ttft_s", "TPOT": "tpot_s", "latency": "latency_s"}.items()
        for q in ("p50", "p99")
    } | {"requests/s": found["throughput"]["requests_per_s"]}


def theirs(url: str, args: argparse.Namespace) -> dict[str, float]:
    """What `vllm bench serve` finds, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": f"question {i}"}) + "\n" for i in range(args.requests)))
        words = {
            "backend": "openai-chat", "base-url": url, "endpoint": "/v1/chat/completions", "model": "m",
            "dataset-name": "custom", "dataset-path": prompts, "custom-output-len": TOKENS,
            "num-prompts": args.requests, "request-rate": args.rate, "percentile-metrics": "ttft,tpot,itl,e2el",
            "metric-percentiles": "50,99", "result-dir": folder, "result-filename": "result.json",
        }  # fmt: skip
        line = [part for name, value in words.items() for part in (f"--{name}", str(value))]
        line += ["--skip-tokenizer-init", "--disable-tqdm", "--save-result", "--save-detailed", "--skip-chat-template"]
        done = subprocess.run([args.python, "-c", BENCH, *line], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        found = json.loads((Path(folder) / "result.json").read_text())
    # Without a tokenizer it sums up the whole alone; the details have the rest.
    rest = [sum(gaps) for gaps in found["itls"]]
    times = {
        "TTFT": found["ttfts"],
        "TPOT": [one / (TOKENS - 1) for one in rest],
        "latency": [first + one for first, one in zip(found["ttfts"], rest, strict=True)],
    }
    return {
        f"{name} {q}": 1000 * float(np.quantile(values, float(q[1:]) / 100))
        for name, values in times.items()
        for q in ("p50", "p99")
    } | {"requests/s": found["request_throughput"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="an interpreter with vLLM, or `serve`")
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    if args.python == "serve":
        asyncio.run(serve())
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        rounds = [(ours(url, args), theirs(url, args)) for _ in range(args.rounds)]
    finally:
        server.kill()
        server.wait()
    print(f"{args.requests} requests at {args.rate:g}/s, {args.rounds} rounds; milliseconds, medians of the rounds\n")
    print(f"{'':14}{'load':>10}{'vllm bench':>12}{'apart':>8}")
    for name in rounds[0][0]:
        mine, other = (statistics.median(side[name] for side in sides) for sides in zip(*rounds, strict=True))
        print(f"{name:14}{mine:10.2f}{other:12.2f}{mine / other - 1:8.1%}")


if __name__ == "__main__":
    main()
