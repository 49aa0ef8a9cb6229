"""From answers to scores: a number, or the reason why there is none. Never 0 for what is not known.

A metric is somebody else's code: whatever it raises or returns ends here as a status, since one bad metric must not
lose answers that were paid for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import orjson
import polars as pl

from mlaas_lab.errors import ContentFiltered, TimedOut, one_line, snake
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Passage, Sample, Score, ScoreStatus

STATUS = {
    snake(ContentFiltered.__name__): ScoreStatus.REFUSED,
    snake(TimedOut.__name__): ScoreStatus.TIMEOUT,
}
"""How a call that failed shows in scores, by its error; the others have no status of their own."""


def judged(sample: Sample, shown: Sequence[Passage] | None) -> Sample:
    """`sample` as an answer to it is judged: with the passages that were really shown, where any were looked for."""
    return sample if shown is None else replace(sample, contexts=tuple(passage.text for passage in shown))


def scored(metrics: Mapping[str, Metric], output: str, sample: Sample) -> dict[str, Score]:
    """What the metrics that judge one answer at a time say of `output`; those that judge many come later."""
    scores: dict[str, Score] = {}
    for name, metric in metrics.items():
        if metric.score is None:
            continue
        if needed := missing(metric, sample):
            scores[name] = Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"no {needed}")
            continue
        with Guarded() as guarded:
            scores[name] = as_score(metric.score(output, sample))
        if guarded.score is not None:
            scores[name] = guarded.score
    return scores


def unscored(metrics: Mapping[str, Metric], error: str) -> dict[str, Score]:
    """The scores of a call that failed with `error`: none, and why."""
    status = STATUS.get(error, ScoreStatus.NOT_APPLICABLE)
    return dict.fromkeys(metrics, Score(value=None, status=status, reason=error))


def with_late_scores(records: pl.DataFrame, metrics: Mapping[str, Metric], samples: Sequence[Sample]) -> pl.DataFrame:
    """`records`, scored too by the metrics that judge all answers at once."""
    late = {name: metric for name, metric in metrics.items() if metric.score_many is not None}
    if not late:
        return records
    asked = as_asked(records, samples)
    outputs = records["output"].to_list()
    answered = [i for i, output in enumerate(outputs) if output is not None]
    for name, metric in late.items():
        lacking = {i: needed for i in answered if (needed := missing(metric, asked[i]))}
        found = {i: Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"no {n}") for i, n in lacking.items()}
        judging = [i for i in answered if i not in lacking]
        if judging:
            scores = _many(metric, [outputs[i] for i in judging], [asked[i] for i in judging])
            found |= zip(judging, scores, strict=True)
        records = filled(records, name, found)
    return records


def as_asked(records: pl.DataFrame, samples: Sequence[Sample]) -> list[Sample]:
    """The sample of each record, as its answer is judged."""
    by_id = {sample.id: sample for sample in samples}
    rows = records.select("sample_id", "contexts").iter_rows()
    return [
        judged(by_id[sample_id], None if shown is None else [Passage(**one) for one in orjson.loads(shown)])
        for sample_id, shown in rows
    ]


def missing(metric: Metric, sample: Sample) -> str:
    """The first field that `metric` needs and `sample` does not have; empty if it has all."""
    return next((needed for needed in sorted(metric.needs) if not getattr(sample, needed)), "")


def _many(metric: Metric, outputs: list[str], samples: list[Sample]) -> list[Score]:
    scores: list[Score] = []
    with Guarded() as guarded:
        values = metric.score_many(outputs, samples) if metric.score_many else []
        if len(values) != len(outputs):
            raise ValueError(f"{len(values)} scores for {len(outputs)} answers")
        scores = [as_score(value) for value in values]
    return scores if guarded.score is None else [guarded.score] * len(outputs)


def filled(records: pl.DataFrame, name: str, scores: Mapping[int, Score]) -> pl.DataFrame:
    """The columns of metric `name` where row i has a score; the rest stay."""

    def column(ending: str, kind: type[pl.DataType], new: Mapping[int, object]) -> pl.Series:
        old = records[name + ending].to_list()
        return pl.Series(name + ending, [new[i] if i in scores else value for i, value in enumerate(old)], dtype=kind)

    return records.with_columns(
        column("", pl.Float64, {i: score.value for i, score in scores.items()}),
        column("_status", pl.String, {i: str(score.status) for i, score in scores.items()}),
        column("_reason", pl.String, {i: score.reason for i, score in scores.items()}),
    )


def as_score(value: float | Score | None) -> Score:
    """What a metric returned, as a score; what is not a finite number is an error of the metric."""
    if isinstance(value, Score):
        return value
    if value is None:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason="the metric gives no score")
    number = float(value)
    if not math.isfinite(number):
        return Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason=f"the metric returned {number}")
    return Score(value=number)


class Guarded:
    """Holds the score that says why a metric failed, once it did."""

    score: Score | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        match error:
            case None:
                return False
            case TimeoutError() | TimedOut():
                status = ScoreStatus.TIMEOUT
            case ValueError():
                status = ScoreStatus.PARSE_ERROR
            case Exception():
                status = ScoreStatus.JUDGE_ERROR
            case _:
                return False
        self.score = Score(value=None, status=status, reason=one_line(error))
        return True
