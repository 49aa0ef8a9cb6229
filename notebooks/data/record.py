"""Makes the recorded runs beside this file, for those who have no room for torch: what was really answered here once.

    python notebooks/data/record.py

`home.parquet`: the tiny base, plain, prompted and with a handbook, and its fine-tune, on 240 held-out messages;
`load.parquet`: the fine-tune under a load that grows until it is full;
`hosted.parquet`: two vendors on the same messages, emulated (`support.jsonl` and a seed say what they answer).
Targets that were asked at home are called "(recorded)", the others "(emulated)", so that every table says it.
"""

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

HERE = Path(__file__).parent
QUALITY = (
    "support?as=support (recorded)",
    "tiny?as=tiny (recorded)",
    f"tiny?as=prompted (recorded)&prompt={HERE / 'brief.txt'}",
    f"tiny?as=handbook (recorded)&retrieve={HERE / 'handbook.md'}",
)
HOSTED = (
    f"openai/gpt-4.1?as=large (emulated)&prompt={HERE / 'brief.txt'}&emulated=yes",
    f"anthropic/claude-haiku-4-5?as=medium (emulated)&prompt={HERE / 'brief.txt'}&emulated=yes",
)
UNREAD = ("timeline", "gaps_s", "request_id")
"""Columns that no panel needs."""


def script(share: float, seed: int, folder: Path) -> str:
    """A file with an answer to every message, of which `share` are right."""
    rows = [json.loads(line) for line in (HERE / "support.jsonl").read_text().splitlines()]
    teams = sorted({row["messages"][-1]["content"] for row in rows})
    chance, path = random.Random(seed), folder / f"answers-{seed}.jsonl"
    with path.open("w") as file:
        for row in rows:
            right = row["messages"][-1]["content"]
            said = right if chance.random() < share else chance.choice(teams)
            print(json.dumps({"prompt": row["messages"][-2]["content"], "completion": said}), file=file)
    return str(path)


def keep(job: Any, name: str) -> None:
    """The records of `job` beside this file, as small as they go."""
    frame = pl.read_parquet(job.result()["records"])
    path = HERE / f"{name}.parquet"
    frame.drop([column for column in UNREAD if column in frame.columns]).write_parquet(path, compression_level=19)
    print(f"{path.name}: {len(frame):,} records, {path.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    """All three, in a home of their own."""
    import mlaas_lab as ml

    folder = Path(os.environ["MLAAS_DATA_DIR"])
    ml.data_check(HERE / "support.jsonl", out=folder / "support", test=0.2)
    questions = folder / "support" / "test"
    ml.finetune(base="tiny", data=folder / "support", name="support", epochs=5).result()
    ml.serve(["tiny", "support"], wait=True)
    try:
        keep(ml.eval(data=questions, targets=QUALITY, max_tokens=16, wait=True), "home")
        load = ml.load(
            QUALITY[:1], sweep=True, duration=8, data=questions, output_tokens=8, slo="latency_s=1", wait=True
        )
        keep(load, "load")
        ml.emulate(["openai"], answers=script(0.97, 1, folder), ttft_s=0.35, tokens_per_s=80, wait=True)
        ml.emulate(["anthropic"], answers=script(0.93, 2, folder), ttft_s=0.5, tokens_per_s=60, wait=True)
        keep(ml.eval(data=questions, targets=HOSTED, max_tokens=16, wait=True), "hosted")
    finally:
        ml.cancel("all")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.environ["MLAAS_DATA_DIR"] = place
        main()
