"""Answers side by side, those that disagree first, the words that differ marked; the rest is counted, not shown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.panels._picking import Pick, Picked, picked
from mlaas_lab.records import metrics_of
from mlaas_lab.schema import JSON
from mlaas_lab.view import Answer, Answers, Mark, Tone, View
from mlaas_lab.view.formats import count, number, seconds

SHOWN = 10
"""Samples; an evaluation may have thousands, and nobody reads them."""
NEEDS = frozenset({"target", "sample_id", "repeat", "output", "error"})
FETCHED = NEEDS | {"messages", "reference", "error_message", "latency_s"}
NONE = {
    Pick.DISAGREEMENTS: "No answered sample is scored or said differently by two targets.",
    Pick.ERRORS: "Every target answered every sample.",
    Pick.WORST: "No sample has an answer.",
}


def shown(frame: pl.DataFrame | pl.LazyFrame, *, pick: Pick = Pick.ANY, samples: int = SHOWN) -> View | None:
    """Answers of at most `samples` samples of one kind, side by side; None where nobody answered anything.

    Args:
        frame: records.
        pick: which samples.
        samples: how many.
    """
    metrics = metrics_of(frame.lazy().collect_schema().names())
    scored = (f"{metric}{ending}" for metric in metrics for ending in ("", "_status"))
    found = picked(frame, metrics[0] if metrics else None, pick, samples, {*FETCHED, *scored})
    if not found.n:
        return None if pick is Pick.ANY else View(title="Outputs", summary=NONE[pick])
    marks: list[Mark] = [_answers(rows, metrics) for rows in found.rows]
    return View(title="Outputs", summary=_said(found, pick, min(samples, found.n)), marks=marks)


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    return shown(frame)


def _said(found: Picked, pick: Pick, shown_now: int) -> str:
    if pick is Pick.ERRORS:
        return f"{count(shown_now)} of {count(found.n)} samples are shown of which a target gave no answer."
    if pick is Pick.DISAGREEMENTS:
        return (
            f"{count(shown_now)} of {count(found.n)} samples are shown on which targets disagree: "
            f"{count(found.apart)} are scored differently, {count(found.worded)} only said differently."
        )
    head = f"{count(shown_now)} of {count(found.n)} samples with an answer are shown"
    if found.targets < 2 or pick is Pick.WORST:
        return f"{head}, the lowest scores first."
    same = found.n - found.apart - found.worded
    return (
        f"{head}, disagreements first: {count(found.apart)} are scored differently, {count(found.worded)} only said "
        f"differently, {count(same)} answered the same by all."
    )


def _answers(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Answers:
    first = rows[0]
    answers = [_answer(row, metrics) for row in rows]
    prompt = _prompt(first.get("messages"))
    return Answers(
        prompt=prompt, answers=answers, reference=first.get("reference"), label=f"Sample {first['sample_id']}"
    )


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


panel = Panel(needs=NEEDS, build=_build, place=60)
