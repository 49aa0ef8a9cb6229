"""Tables of records for the tests of panels, reports and comparisons, written and read as real ones are."""

from decimal import Decimal
from pathlib import Path

import polars as pl

from mlaas_lab import records
from mlaas_lab.schema import Attempt, Completion, Cost, Message, Record, Score, Usage

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "&lt;b&gt; &amp; ]]> <!-- -->",
    "</pre></body></html><iframe src=//evil.example>",
    "javascript:alert(1) url(//evil.example) @import '//evil.example';",
    "\u202egnp.exe\u202c \u2066 \u200b",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \r",
)
"""What a model or a file may say to be more than text."""


def record(target, i, said, reference, *, usd=None, latency_s=0.25, stream=False, error=None, prompt=None, repeat=0):
    """One measured call; it scores exact_match."""
    at = 1.7e9 + i
    first = at + latency_s / 4 if stream else None
    done = None
    if error is None:
        attempt = Attempt(started_at=at, first_token_at=first, ended_at=at + latency_s, status=200)
        used = Usage(input_tokens=10, output_tokens=5)
        done = Completion(text=said, usage=used, finish_reason="stop", model="m", attempts=(attempt,))
    return Record(
        target=target,
        sample_id=f"s{i}",
        repeat=repeat,
        group=None,
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content=prompt or f"question {i}"),
        ),
        reference=reference,
        completion=done,
        error=error,
        error_message=f"{error}: try later" if error else None,
        cost=Cost(usd=None if usd is None else Decimal(usd), source="list", date="2026-01-02")
        if done
        else Cost(usd=None),
        scores={"exact_match": Score(value=float(said == reference))} if done else {},
    )


def file_of(path: Path, several, *, run_id="3f9a01bc") -> Path:
    """`several` records as a Parquet file."""
    return records.write(path, several, metrics=("exact_match",), run_id=run_id)


def frame_of(path: Path, several, **more) -> pl.DataFrame:
    """`several` records as they are read back."""
    return records.read(file_of(path, several, **more))


def duel(n=40, right=30, **more):
    """`bad` is never right; `good` is on the first `right` of `n`, and `bad` is on the last one."""
    for i in range(n):
        yield record("bad", i, "yes" if i == n - 1 else "no", "yes", **more)
        yield record("good", i, "yes" if i < right else "no", "yes", **more)
