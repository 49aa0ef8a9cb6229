"""The folder of an evaluation that ended well, small and with everything in it: errors, retries, groups of scores."""

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from mlaas_lab import records
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.schema import Attempt, Completion, Cost, Message, Record, Score, ScoreStatus, Usage
from mlaas_lab.store.folder import JobFolder, read_json, write_json

START = 1_790_000_000.0
METRICS = ("exact_match", "tone")
TARGETS = ("good/one?key=CANARY-KEY-1234567890", "bad/two")


def answered(target: str, i: int, *, right: bool, said: str = "yes", retried: bool = False) -> Record:
    """A priced answer, streamed, scored by code and by a judge."""
    began, took = START + 10 * i, 0.25 + 0.01 * i
    first = Attempt(started_at=began - 1, ended_at=began - 0.75, status=429, error="rate_limited")
    last = Attempt(
        started_at=began,
        connected_at=began + 0.01,
        first_byte_at=began + 0.05,
        first_token_at=began + 0.1,
        ended_at=began + took,
        status=200,
    )
    attempts = (first, last) if retried else (last,)
    used = Usage(input_tokens=10 + i, output_tokens=5, cached_tokens=2)
    done = Completion(text=said, usage=used, finish_reason="stop", model="m-1", attempts=attempts)
    return Record(
        **_place(target, i),
        completion=done,
        cost=Cost(usd=Decimal(100 + i) / 1_000_000, source="list", date="2026-11-22"),
        scores={
            "exact_match": Score(value=float(right)),
            "tone": Score(value=0.5, reason="rather plain")
            if right
            else Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason="the judge answered prose"),
        },
    )


def unanswered(target: str, i: int, *, asked: bool = True) -> Record:
    """A call that failed, or one that was never made."""
    began = START + 10 * i
    attempts = (Attempt(started_at=began, ended_at=began + 2, status=500, error="overloaded"),) if asked else ()
    return Record(
        **_place(target, i),
        completion=None,
        error="overloaded" if asked else "cancelled",
        error_message="busy, api_key=CANARY-KEY-1234567890" if asked else "stopped before it was asked",
        attempts=attempts,
    )


def _place(target: str, i: int) -> dict[str, object]:
    turns = (Message(role="system", content="be brief"), Message(role="user", content=f"question {i}"))
    place = {"provider": target.partition("/")[0], "region": "eu-1", "emulated": True}
    return {**place, "target": target, "sample_id": f"s{i}", "repeat": 0, "group": None, "messages": turns} | {
        "reference": "yes"
    }


def several(n: int = 8) -> list[Record]:
    """Both targets on `n` samples: one retry, one error, one never asked, one on which they disagree."""
    good, bad = TARGETS
    found = [answered(good, i, right=i != 5, retried=i == 1) for i in range(n)]
    found += [answered(bad, i, right=True) for i in range(n - 2)]
    return [*found, unanswered(bad, n - 2), unanswered(bad, n - 1, asked=False)]


def fill(folder: JobFolder, made: list[Record] | None = None, *, data: Path = Path("/d.jsonl")) -> JobFolder:
    """`folder` as task `eval` leaves it, with what the task's entry would say of these records."""
    write_json(folder.job, {**read_json(folder.job), "task": "eval", "spec": {"targets": list(TARGETS), "seed": 0}})
    records.write(folder.records, made or several(), metrics=METRICS, run_id=read_json(folder.job)["id"])
    frame = records.read(folder.records)
    if "tone_judge" not in frame.columns:
        records.save(frame.with_columns(tone_judge=frame["model"], tone_cost_usd=frame["cost_usd"]), folder.records)
    summary, verdicts = summarize(records.read(folder.records))
    result = {"summary": [asdict(one) for one in summary], "verdicts": [asdict(one) for one in verdicts]}
    rows = {"name": "d", "path": str(data), "sha256": "ab" * 32, "rows": 8, "context": "eval"}
    write_json(
        folder.outcome,
        {
            "result": result,
            "metrics": {"wall_s": 1.5},
            "datasets": [rows],
            "artifacts": [str(folder.records)],
            "adapter": None,
        },
    )
    return folder
