"""What tracking costs: the line a training step writes, how fast lines reach MLflow, an evaluation. Prints a table.

`python tests/benchmarks/tracking.py` (SQLite in a temporary folder, for the evaluation a real server on it too). A step
is taken as 5 ms, which is short. `… evaluation` measures that alone.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from mlaas_lab import records
from mlaas_lab.context import Context
from mlaas_lab.schema import Attempt, Completion, Cost, JobState, Message, Record, Score, Usage
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, write_json

STEP_S = 0.005
LINES = 20_000
METRICS = 20_000
START = 1_790_000_000.0
TARGETS = ("echo/a", "echo/b", "echo/c", "echo/d")
SAMPLES = 2_500


def main(words: list[str]) -> int:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(data_dir=Path(place), cache_dir=Path(place))
        if not words:
            rows += line(_folder(settings, "line"), settings)
            rows += delivery(settings)
            rows += bare(settings)
        rows += evaluation(settings)
    for name, value in rows:
        print(f"{name:<62} {value:>16}")
    return 0


def _folder(settings: Settings, name: str) -> JobFolder:
    folder = JobFolder(settings.jobs_dir / name)
    folder.path.mkdir(parents=True)
    job = {"id": name, "task": "finetune", "name": name, "spec": {"rank": 8}, "spec_hash": "h", "attempt": 1}
    write_json(folder.job, {**job, "created_at": START, "settings": {}})
    return folder


def line(folder: JobFolder, settings: Settings) -> list[tuple[str, str]]:
    """The cost of `context.log` with the four metrics of a training step."""
    context = Context(folder, settings, job_id="line", name="line")
    took = []
    for step in range(LINES):
        began = time.perf_counter()
        context.log(step, loss=1 / (step + 1), grad_norm=0.5, lr=1e-3, tokens_per_s=2700.0)
        took.append(time.perf_counter() - began)
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    mean = statistics.fmean(took)
    return [
        (f"context.log, 4 metrics, {LINES:,} lines: p50", f"{p50 * 1e6:.1f} µs"),
        ("context.log: p99", f"{p99 * 1e6:.1f} µs"),
        ("context.log: mean, as a share of a 5 ms step (at most 1 %)", f"{mean / STEP_S:.3%}"),
        ("mlflow imported by the process that logs (must be no)", "yes" if "mlflow" in sys.modules else "no"),
    ]


def delivery(settings: Settings) -> list[tuple[str, str]]:
    """From lines on disk to rows in MLflow; the first use of a database apart."""
    folder = _folder(settings, "drain")
    with folder.events.open("w") as file:
        for step in range(METRICS // 4):
            values = {"loss": 1 / (step + 1), "grad_norm": 0.5, "lr": 1e-3, "tokens_per_s": 2700.0}
            file.write(json.dumps({"at": START + step, "event": "metrics", "step": step, "values": values}) + "\n")
    began = time.perf_counter()
    from mlaas_lab.tracking.delivery import Delivery

    imported = time.perf_counter()
    sender = Delivery(folder, settings)
    sender.start()
    opened = time.perf_counter()
    done = sender.drain()
    drained = time.perf_counter()
    again = Delivery(_folder(settings, "second"), settings)
    again.start()
    second = time.perf_counter()
    sender.finish(JobState.SUCCEEDED)
    finished = time.perf_counter()
    if done.sent != METRICS:
        raise SystemExit(f"sent {done.sent} of {METRICS}")
    return [
        ("import of mlflow, in the sender's thread", f"{imported - began:.2f} s"),
        ("first use of a database (migrations) and the run", f"{opened - imported:.2f} s"),
        ("a further run in it", f"{second - drained:.3f} s"),
        (f"drain of {METRICS:,} metrics, end to end", f"{drained - opened:.2f} s"),
        ("drain: throughput", f"{METRICS / (drained - opened):,.0f} metrics/s"),
        ("end of a job without artifacts", f"{finished - second:.3f} s"),
    ]


def bare(settings: Settings) -> list[tuple[str, str]]:
    """The same metrics by mlflow's `log_batch` alone, in the same database."""
    from mlflow.entities import Metric

    from mlaas_lab.tracking.server import connect, experiment

    client = connect(settings)
    run_id = client.create_run(experiment(client, settings)).info.run_id
    began = time.perf_counter()
    for first in range(0, METRICS, 1000):
        client.log_batch(
            run_id, [Metric("loss", 1 / (i + 1), 1_790_000_000_000 + i, i) for i in range(first, first + 1000)]
        )
    took_s = time.perf_counter() - began
    return [("bare log_batch of 1,000: throughput", f"{METRICS / took_s:,.0f} metrics/s")]


def evaluation(settings: Settings) -> list[tuple[str, str]]:
    """The end of an evaluation of 4 × 2,500 records: all that it leaves, as one job's end sends it."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from mlflow_loopback import MlflowServer

    total, rows = f"{len(TARGETS) * SAMPLES:,} records", []
    rows += _logged(settings, "file", f"evaluation of {total} to an SQLite file")
    server = MlflowServer(settings.data_dir).start()
    try:
        remote = settings.model_copy(update={"tracking_uri": server.url})
        rows += _logged(remote, "server", f"evaluation of {total} to a server on it (at most 2 s)")
    finally:
        server.kill()
    return rows


def _logged(settings: Settings, name: str, what: str) -> list[tuple[str, str]]:
    from mlaas_lab.tracking.delivery import Delivery

    # What a sender's thread imports and opens once, it has by the end of a job; the best of a few is the code's own.
    Delivery(_folder(settings, f"{name}-warm"), settings).finish(JobState.SUCCEEDED)
    numbers, traces = [], []
    for i in range(5):
        folder = _evaluated(settings, f"{name}-{i}")
        delivery = Delivery(folder, settings)
        delivery.start()
        began = time.perf_counter()
        delivery.finish(JobState.SUCCEEDED)
        closed = time.perf_counter()
        done = delivery.illustrate()
        numbers.append(closed - began)
        traces.append(time.perf_counter() - closed)
        if done.parked or len(done.children) != len(TARGETS) or "traces" not in done.done:
            raise SystemExit(f"{done.parked}, {done.children}")
    late = f"  then, nobody waiting, {settings.traces * len(TARGETS)} traces with their feedbacks"
    return [
        (what, f"{min(numbers):.2f} to {max(numbers):.2f} s"),
        (late, f"{min(traces):.2f} to {max(traces):.2f} s"),
    ]


def _evaluated(settings: Settings, name: str) -> JobFolder:
    """The folder of an evaluation that ended well: questions of 60 words, two metrics, a retry and an error in 50."""
    folder = _folder(settings, name)
    job = json.loads(folder.job.read_text())
    write_json(folder.job, {**job, "task": "eval", "spec": {"targets": TARGETS, "seed": 0}})
    draw = random.Random(7)
    metrics = ("exact_match", "token_f1")
    rows = (_record(draw, target, i) for target in TARGETS for i in range(SAMPLES))
    records.write(folder.records, rows, metrics=metrics, run_id=name)
    from mlaas_lab.evaluation.summary import summarize

    summary, verdicts = summarize(records.read(folder.records))
    result = {"summary": [asdict(one) for one in summary], "verdicts": [asdict(one) for one in verdicts]}
    data = {"name": "d", "path": "/d.jsonl", "sha256": "ab" * 32, "rows": SAMPLES, "context": "eval"}
    write_json(folder.outcome, {"result": result, "metrics": {"wall_s": 1.5}, "datasets": [data], "artifacts": []})
    return folder


def _record(draw: random.Random, target: str, i: int) -> Record:
    began, took = START + i, draw.lognormvariate(-1, 0.5)
    attempts = [Attempt(started_at=began, connected_at=began, ended_at=began + took, status=200)]
    if draw.random() < 0.02:
        attempts.insert(0, Attempt(started_at=began - 1, ended_at=began - 0.5, status=429, error="rate_limited"))
    words, right, failed = "word " * 60, draw.random() < 0.7, draw.random() < 0.02
    used = Usage(input_tokens=80, output_tokens=60)
    done = Completion(text=words, usage=used, finish_reason="stop", model="m", attempts=tuple(attempts))
    return Record(
        target=target,
        provider="echo",
        sample_id=f"s{i}",
        repeat=0,
        group=None,
        messages=(Message(role="user", content=f"{i}: {words}"),),
        reference=words,
        completion=None if failed else done,
        error="timed_out" if failed else None,
        error_message="no answer within 60 s" if failed else None,
        attempts=tuple(attempts) if failed else (),
        cost=Cost(usd=None if failed else Decimal("0.000125"), source="list", date="2026-11-22"),
        scores={} if failed else {name: Score(value=float(right)) for name in ("exact_match", "token_f1")},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
