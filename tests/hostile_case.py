"""Evaluations in which every text that a dashboard shows is hostile: names, answers, errors, prices, reviews, decisions."""

import json
from pathlib import Path

import polars as pl
from made_jobs import made
from made_records import frame_of, record
from payloads import FIRING, beacons, everything, payloads

from mlaas_lab.lab import Lab
from mlaas_lab.reviewing import Desk
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import JobFolder, write_json

GROUPS = 40
PEOPLE = 12
"""Reviewers, and those who sign; each comments with many texts."""


def words(origin: str) -> list[str]:
    """All texts that a file can hold."""
    return [word.encode(errors="replace").decode() for word in everything(origin)]


def firing(origin: str) -> list[str]:
    """Those that run or ask by themselves."""
    return [*payloads()[: len(FIRING)], *beacons(origin)]


def evaluation(lab: Lab, several: list[str], names: list[str], place: str = "hostile") -> Path:
    """The records of a job of this machine that measured the targets `names`; `several` stand everywhere else."""
    folder = JobFolder(Path(place).absolute())
    folder.path.mkdir()
    rows = [
        record(target, i, f"{word} {n}", word, prompt=word, usd="0.001", error=word if i % 7 == 6 else None)
        for i, word in enumerate(several)
        for n, target in enumerate(names)
    ]
    frame = frame_of(folder.path / "plain.parquet", rows)
    each = pl.Series([word for word in several for _ in names])
    turns = [json.dumps([{"role": "system", "content": w}, {"role": "user", "content": w}]) for w in each]
    shown = dict.fromkeys(("model", "error_message", "contexts", "price_source", "price_date", "finish_reason"), each)
    frame = frame.with_columns(
        group=pl.Series([several[i % GROUPS] for i in range(len(several)) for _ in names]),
        messages=pl.Series(turns),
        run_id=pl.lit(place),
        provider=pl.lit(names[0]),
        region=pl.lit(names[-1]),
        exact_match_reason=each,
        **shown,
    )
    named = {f"exact_match{ending}": f"{names[0]}{ending}" for ending in ("", "_status", "_reason")}
    also = frame.select(pl.col(old).alias(new) for old, new in named.items())
    pl.concat([frame, also], how="horizontal").write_parquet(folder.records)
    tuned = JobFolder(folder.path / "adapter")
    tuned.path.mkdir()
    write_json(tuned.outcome, {"result": {"adapter": {"base": several[0], "path": several[1], "sha256": several[2]}}})
    asked = {"data": several[0], "targets": names, "judge": several[1], "metrics": ["exact_match", names[0]]}
    adapter = {"name": names[0], "task": "finetune", "spec": {"base": several[3]}, "folder": str(tuned.path)}
    lab.store.add(made(f"adapter of {place}", **adapter))
    lab.store.add(made(place, name=names[0], task="eval", spec=asked, folder=str(folder.path)))
    for job_id in (f"adapter of {place}", place):
        for state in (JobState.RUNNING, JobState.SUCCEEDED):
            lab.store.move(job_id, state, attempt=1)
    return folder.records


def said(desk: Desk, several: list[str]) -> None:
    """Reviews and decisions by people of hostile names, who comment with every text."""
    chunks = [several[i::PEOPLE] for i in range(PEOPLE)]
    sittings = [desk.sit(by=f"{some[0]} {n}", between=desk.targets[:2]) for n, some in enumerate(chunks)]
    for at, (sitting, some) in enumerate(zip(sittings, chunks, strict=True)):
        sitting.judge(at, "left")
        sitting.comment(at, some[1])
        desk.sign(target=desk.targets[0], by=some[2], comment="\n".join(some)[:3900])
    for at in range(sittings[0].total):
        sittings[0].comment(at, several[at % len(several)])
