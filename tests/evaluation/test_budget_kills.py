"""A cap through kills: whatever was in flight when the process died may be billed, and counts."""

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal

import pytest
from emulated import emulated, target

from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval

CAP = Decimal("0.15")
FORGETFUL = "from mlaas_lab.evaluation import budget; budget._kept = lambda path: 0"
"""Every attempt believes that nothing was spent yet."""


def billed(server):
    """By the vendor's own ledger, at gpt-4o's prices."""
    return sum((one.input_tokens * Decimal("2.5e-6") + one.output_tokens * Decimal("1e-5") for one in server.ledger), 0)


def attempts(server, folder, settings, data, *, kills, sabotage=""):
    """Start the job in `folder` and kill it once the server has seen 12 more requests, so often; then let it end."""
    spec = build(
        Eval,
        {"data": data, "targets": (target(server, "openai", model="gpt-4o"),), "metrics": ("exact_match",)}
        | {"max_usd": float(CAP), "max_tokens": 40, "retries": 1, "concurrency": 8},
    )
    for attempt in range(1, kills + 2):
        job = {"id": "job-1", "task": "eval", "name": "rows", "spec": spec.model_dump(mode="json"), "attempt": attempt}
        folder.job.write_text(json.dumps({**job, "settings": settings.model_dump(mode="json")}))
        code = f"{sabotage}\nimport sys\nfrom mlaas_lab.context import main\nsys.exit(main(sys.argv[1]))"
        entry = subprocess.Popen(
            [sys.executable, "-c", code, str(folder.path)],
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )
        seen = len(server.ledger)
        while attempt <= kills and len(server.ledger) < seen + 12 and entry.poll() is None:
            time.sleep(0.001)
        if attempt <= kills:
            entry.send_signal(signal.SIGKILL)
        entry.wait()


@pytest.mark.long
@pytest.mark.parametrize("sabotage", ["", FORGETFUL], ids=["", "a budget that forgets"])
def test_attempts_together_stay_below_the_cap(tmp_path, settings, rows, sabotage):
    data = rows([(f"question {i} " + "word " * 30, "x") for i in range(800)])
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    with emulated("openai", ttft_s=0.01) as server:
        attempts(server, folder, settings, data, kills=4, sabotage=sabotage)
        spent = billed(server)
    assert len(server.ledger) > 4 * 12
    if sabotage:
        assert spent > CAP, "the control must be caught"
    else:
        result = json.loads(folder.outcome.read_text())["result"]
        assert spent <= Decimal(str(result["spent_usd"])) <= CAP
