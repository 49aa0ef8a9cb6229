"""Inspect AI's `eval` on the questions of `peers.py`, in its own interpreter: one JSON line says how fast.

What it writes is its own log; nothing is drawn while it runs.
"""

import json
import sys
import time
from importlib.metadata import version

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate


def main() -> None:
    given = json.loads(sys.argv[1])
    config = GenerateConfig(max_connections=given["in_flight"], max_tokens=256, temperature=0)
    model = get_model("openai-api/instant/m", base_url=given["base_url"], api_key="none", config=config)

    def asked(n: int) -> tuple[float, float]:
        samples = [Sample(input=given["question"].format(i), target=given["answer"]) for i in range(n)]
        task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=exact())
        wall, cpu = time.perf_counter(), time.process_time()
        (log,) = evaluate(task, model=model, display="none", log_dir=given["folder"], log_level="error")
        took = time.perf_counter() - wall, time.process_time() - cpu
        assert log.status == "success", log.error
        assert log.results.completed_samples == n
        assert log.results.scores[0].metrics["mean"].value == 1
        return took

    asked(16)
    wall_s, cpu_s = asked(given["samples"])
    print(json.dumps({"version": version("inspect_ai"), "wall_s": wall_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
