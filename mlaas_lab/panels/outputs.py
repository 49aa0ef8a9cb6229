"""Answers side by side, those that disagree first, the words that differ marked; the rest is counted, not shown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.records import metrics_of
from mlaas_lab.schema import JSON
from mlaas_lab.view import Answer, Answers, Mark, Tone, View
from mlaas_lab.view.formats import count, number, seconds

SHOWN = 10
"""Samples; an evaluation may have thousands, and nobody reads them."""
KEY = ["sample_id", "reference"]
"""Two files may both number their samples 1, 2, 3: the reference tells them apart."""


def _build(frame: pl.DataFrame) -> View | None:
    frame = _first_repeats(frame)
    metrics = metrics_of(frame.columns)
    order = _ordered(frame, metrics[0] if metrics else None)
    if order.is_empty():
        return None
    shown = order.head(SHOWN).select(KEY).with_row_index("place")
    rows = frame.join(shown, on=KEY, nulls_equal=True, maintain_order="left")
    several = [
        part.to_dicts() for _, part in rows.sort("place", maintain_order=True).group_by("place", maintain_order=True)
    ]
    marks: list[Mark] = [_answers(same, metrics) for same in several]
    return View(title="Outputs", summary=_said(order, frame["target"].n_unique()), marks=marks)


def _first_repeats(frame: pl.DataFrame) -> pl.DataFrame:
    if "reference" not in frame.columns:
        frame = frame.with_columns(reference=pl.lit(None, pl.String))
    return frame.filter(pl.col("repeat") == pl.col("repeat").min().over("target", *KEY))


def _ordered(frame: pl.DataFrame, metric: str | None) -> pl.DataFrame:
    """Answered samples by what there is to see: scored differently, said differently, then the lowest scores.

    Among those scored differently, the ones that the first and the last target win take turns, so that the few losses
    of a clear winner are seen too.
    """
    targets = frame["target"].unique(maintain_order=True).to_list() or [""]
    score = (
        pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(f"{metric}")) if metric else pl.lit(None, pl.Float64)
    )
    first, last = (score.filter(pl.col("target") == target).mean() for target in (targets[0], targets[-1]))
    samples = frame.group_by(KEY, maintain_order=True).agg(
        differs=pl.struct("output", pl.col("error").is_null()).n_unique() > 1,
        spread=(score.max() - score.min()).fill_null(0.0),
        gain=(last - first).fill_null(0.0).sign(),
        mean=score.mean(),
        answered=pl.col("error").is_null().any(),
    )
    turn = pl.when(pl.col("spread") > 0).then(pl.col("spread").rank("ordinal", descending=True).over("gain"))
    return (
        samples.filter("answered")
        .with_columns(turn=turn, apart=pl.col("spread") > 0)
        .sort(
            "apart",
            "differs",
            "turn",
            "mean",
            descending=[True, True, False, False],
            nulls_last=True,
            maintain_order=True,
        )
    )


def _said(order: pl.DataFrame, targets: int) -> str:
    head = f"{count(min(SHOWN, len(order)))} of {count(len(order))} samples with an answer are shown"
    if targets < 2:
        return f"{head}, the lowest scores first."
    apart, worded = len(order.filter("apart")), len(order.filter(pl.col("differs") & ~pl.col("apart")))
    same = len(order) - apart - worded
    return (
        f"{head}, disagreements first: {count(apart)} are scored differently, {count(worded)} only said differently, "
        f"{count(same)} answered the same by all."
    )


def _answers(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Answers:
    first = rows[0]
    answers = [_answer(row, metrics) for row in rows]
    prompt = _prompt(first.get("messages"))
    return Answers(prompt=prompt, answers=answers, reference=first["reference"], label=f"Sample {first['sample_id']}")


def _answer(row: Mapping[str, Any], metrics: Sequence[str]) -> Answer:
    scores = [_score(row, metric) for metric in metrics]
    took = [seconds(row["latency_s"])] if row.get("latency_s") is not None else []
    failed = row["error"] is not None
    return Answer(
        target=row["target"],
        text=None if failed else row["output"],
        error=f"{row['error']}: {row.get('error_message') or 'no message'}" if failed else "",
        note="" if failed else " · ".join([*scores, *took]),
        tone=_tone(row, metrics[0]) if metrics and not failed else Tone.MILD,
    )


def _score(row: Mapping[str, Any], metric: str) -> str:
    status = row[f"{metric}_status"]
    return f"{metric} {number(row[metric])}" if status == "ok" else f"{metric}: {status or 'not scored'}"


def _tone(row: Mapping[str, Any], metric: str) -> Tone:
    """Full marks and no marks, for a share of which one end is best."""
    best = words.best(metric)
    if best is None or row[metric] not in (0.0, 1.0):
        return Tone.MILD
    return Tone.GOOD if row[metric] == best else Tone.BAD


def _prompt(messages: str | None) -> str:
    """The turns that were sent, without the system prompt; a table from elsewhere may hold anything."""
    try:
        turns: JSON = json.loads(messages or "[]")
    except ValueError:
        return str(messages)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return str(messages)
    said = [turn for turn in turns if turn.get("role") != "system"]
    if len(said) == 1:
        return str(said[0].get("content", ""))
    return "\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in said)


panel = Panel(needs=frozenset({"target", "sample_id", "repeat", "output", "error"}), build=_build, place=60)
