"""`mlflow.genai.evaluate` on the questions of `peers.py`, in its own interpreter: one JSON line says how fast.

Its tracking store is SQLite in a folder of its own. Its limit of calls per second, on by default, is off.
"""

import json
import os
import sys
import threading
import time

given = json.loads(sys.argv[1])
os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": str(given["in_flight"]),
    "MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT": "0",
}

import mlflow  # noqa: E402 - it reads what stands above
import requests  # noqa: E402
from mlflow.genai.scorers import scorer  # noqa: E402

SESSIONS = threading.local()


def predict(question: str) -> str:
    if not hasattr(SESSIONS, "http"):
        SESSIONS.http = requests.Session()
    body = {"model": "m", "messages": [{"role": "user", "content": question}], "max_tokens": 256, "temperature": 0}
    answer = SESSIONS.http.post(f"{given['base_url']}/chat/completions", json=body)
    return answer.json()["choices"][0]["message"]["content"]


@scorer
def exact_match(outputs: str, expectations: dict[str, str]) -> bool:
    return outputs.strip() == expectations["expected_response"].strip()


def asked(n: int) -> tuple[float, float]:
    data = [
        {"inputs": {"question": given["question"].format(i)}, "expectations": {"expected_response": given["answer"]}}
        for i in range(n)
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    result = mlflow.genai.evaluate(data=data, predict_fn=predict, scorers=[exact_match])
    took = time.perf_counter() - wall, time.process_time() - cpu
    assert result.metrics["exact_match/mean"] == 1, result.metrics
    assert result.result_df is not None
    assert len(result.result_df) == n
    return took


def main() -> None:
    mlflow.set_tracking_uri(f"sqlite:///{given['folder']}/mlflow.db")
    mlflow.set_experiment("peers")
    asked(4)
    wall_s, cpu_s = asked(given["samples"])
    print(json.dumps({"version": mlflow.__version__, "wall_s": wall_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
