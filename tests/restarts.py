"""An evaluation as a job of its own process, killed and started again in its folder, and what that must never do.

    evaluation = Evaluation(folder, settings, server, data)
    evaluation.killed(after=17)        # SIGKILL once the server has seen 17 more requests
    evaluation.finished()
    assert evaluation.broken_promises() == []

What was recorded is read here as plain JSON, and what was sent from the server's own ledger: neither is the product's
word for it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from loopback import Loopback

from mlaas_lab.settings import Settings
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval

TIMING = (
    "started_at",
    "ended_at",
    "latency_s",
    "wall_s",
    "ttft_s",
    "tokens_per_s",
    "timeline",
    "failures",
    "request_id",
)
"""Columns that no two runs have in common."""
IN_FLIGHT = 8


@dataclass(kw_only=True)
class Attempt:
    """What one attempt did."""

    sent: list[str]
    """Prompts, in the order the server saw them."""
    recorded: set[str]
    """Prompts with an answer on disk after it."""


@dataclass(kw_only=True)
class Evaluation:
    """One job, over its attempts."""

    path: Path
    settings: Settings
    server: Loopback
    data: Path
    sabotage: str = ""
    """Python that spoils the build before the entry runs."""
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        self.folder = JobFolder(self.path)
        target = f"openai/m?base_url={self.server.base_url}"
        self._spec = build(Eval, {"data": self.data, "targets": (target,), "concurrency": IN_FLIGHT})

    def killed(self, *, after: int, pause_s: float = 0.0) -> None:
        """Start an attempt, and kill it `pause_s` after the server has seen `after` requests of it."""
        entry, first = self._start()
        while len(self.server.requests) < first + after and entry.poll() is None:
            time.sleep(0.001)
        time.sleep(pause_s)
        entry.send_signal(signal.SIGKILL)
        entry.wait()
        self._note(first)

    def finished(self) -> dict:
        """Start an attempt and let it end; its result."""
        entry, first = self._start()
        _, errors = entry.communicate()
        assert entry.returncode == 0, errors.decode()
        self._note(first)
        return json.loads(self.folder.outcome.read_text())["result"]

    def table(self) -> pl.DataFrame:
        """The records, without what no two runs have in common."""
        return pl.read_parquet(self.folder.records).drop(TIMING)

    def broken_promises(self) -> list[str]:
        """What the attempts did that they must not."""
        found: list[str] = []
        recorded: set[str] = set()
        for n, attempt in enumerate(self.attempts, 1):
            sent = Counter(attempt.sent)
            if again := recorded & sent.keys():
                found.append(f"attempt {n} sent {len(again)} samples again whose answers were recorded")
            if twice := [prompt for prompt, times in sent.items() if times > 1]:
                found.append(f"attempt {n} sent {len(twice)} samples twice")
            if len(open_ones := sent.keys() - attempt.recorded) > IN_FLIGHT:
                found.append(f"attempt {n} left {len(open_ones)} samples to be sent again, with {IN_FLIGHT} in flight")
            if lost := recorded - attempt.recorded:
                found.append(f"attempt {n} lost {len(lost)} recorded answers")
            recorded = attempt.recorded
        return found

    def _start(self) -> tuple[subprocess.Popen, int]:
        job = {
            "id": "job-1",
            "task": "eval",
            "name": "rows",
            "spec": self._spec.model_dump(mode="json"),
            "attempt": len(self.attempts) + 1,
            "settings": self.settings.model_dump(mode="json"),
        }
        self.folder.job.write_text(json.dumps(job))
        code = f"{self.sabotage}\nimport sys\nfrom mlaas_lab.context import main\nsys.exit(main(sys.argv[1]))"
        how = ["-c", code] if self.sabotage else ["-m", "mlaas_lab.context"]
        first = len(self.server.requests)
        environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
        entry = subprocess.Popen(
            [sys.executable, *how, str(self.path)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return entry, first

    def _note(self, first: int) -> None:
        sent = [seen.body["messages"][-1]["content"] for seen in self.server.requests[first:]]
        self.attempts.append(Attempt(sent=sent, recorded=self._recorded()))

    def _recorded(self) -> set[str]:
        if self.folder.records.exists():
            rows = pl.read_parquet(self.folder.records).rows(named=True)
        else:
            journal = self.folder.records.with_suffix(".jsonl")
            lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
            rows = [json.loads(line) for line in lines]
        return {json.loads(row["messages"])[-1]["content"] for row in rows if row.get("error") is None}


def dataset(path: Path, n: int) -> Path:
    """`n` questions, half of which an echo answers as the reference says."""
    with path.open("w") as file:
        for i in range(n):
            answer = f"say {i}" if i % 2 else "other"
            turns = [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path
