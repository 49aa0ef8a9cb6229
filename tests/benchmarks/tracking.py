"""What tracking costs: the line a training step writes, and how fast lines reach MLflow. Prints a table.

`python tests/benchmarks/tracking.py` (SQLite in a temporary folder). A step is taken as 5 ms, which is short.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from mlaas_lab.context import Context
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, write_json

STEP_S = 0.005
LINES = 20_000
METRICS = 20_000
START = 1_790_000_000.0


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(data_dir=Path(place), cache_dir=Path(place))
        rows += line(_folder(settings, "line"), settings)
        rows += delivery(settings)
        rows += bare(settings)
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


if __name__ == "__main__":
    sys.exit(main())
