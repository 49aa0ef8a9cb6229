"""Which answers have no score and why, by metrics that need no judge; nothing where all have one.

An answer without a score is in no mean, so who reads a mean must see how many there are. Judges have an account of
their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mlaas_lab.evaluation.layout import by_target, spans
from mlaas_lab.evaluation.sharing import lazily
from mlaas_lab.panels import Panel
from mlaas_lab.records import metrics_of
from mlaas_lab.schema import ScoreStatus
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count

WORDS = {
    ScoreStatus.OK: "Scored",
    ScoreStatus.REFUSED: "Refused",
    ScoreStatus.PARSE_ERROR: "Not readable",
    ScoreStatus.TIMEOUT: "Too late",
    ScoreStatus.JUDGE_ERROR: "Metric failed",
    ScoreStatus.NOT_APPLICABLE: "Does not apply",
}
MOST_SAID = 4
NOTE = "Counted of answers; calls without an answer stand under Errors."


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of one target's answers by one metric."""

    metric: str
    target: str
    counts: Mapping[ScoreStatus, int]
    """Answers by what became of their score."""

    @property
    def n_unscored(self) -> int:
        """Answers without a score."""
        return sum(n for status, n in self.counts.items() if status is not ScoreStatus.OK)


def accounts(frame: pl.DataFrame | pl.LazyFrame) -> list[Account]:
    """A line per metric without a judge and target, targets in their order."""
    records = lazily(frame)
    columns = records.collect_schema().names()
    metrics = [metric for metric in metrics_of(columns) if f"{metric}_judge" not in columns]
    answered = records.filter(pl.col("error").is_null())
    statuses = [f"{metric}_status" for metric in metrics]
    scored = (
        pl.all_horizontal(pl.col(*statuses).eq_missing(pl.lit(str(ScoreStatus.OK)))) if statuses else pl.lit(value=True)
    )
    # Few rows, as a rule: what is scored needs no counting by reason.
    lacking = answered.filter(~scored).group_by("target", *statuses).len()
    found = lacking.collect(engine="streaming")
    counts = by_target(records, [pl.col("error").is_null().sum().alias("n")], spans(records))
    lines = found.to_dicts()
    return [_of(str(target), metric, n, lines) for metric in metrics for target, n in counts.iter_rows()]


def _of(target: str, metric: str, n: int, lacking: Sequence[Mapping[str, Any]]) -> Account:
    counts = dict.fromkeys(WORDS, 0)
    for line in lacking:
        status = line[f"{metric}_status"]
        if str(line["target"]) == target and status != ScoreStatus.OK:
            # A status that nobody knows is none: the metric says nothing of this answer.
            counts[ScoreStatus(status) if status in counts else ScoreStatus.NOT_APPLICABLE] += line["len"]
    return Account(metric=metric, target=target, counts={**counts, ScoreStatus.OK: n - sum(counts.values())})


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    lines = accounts(frame)
    lacking = {line.metric for line in lines if line.n_unscored}
    lines = [line for line in lines if line.metric in lacking]
    if not lines:
        return None
    return View(title="Without a score", summary=_said(lines), table=_table(lines), notes=[NOTE])


def _said(lines: Sequence[Account]) -> str:
    """Who lacks scores, the most first."""
    lacking = sorted((line for line in lines if line.n_unscored), key=lambda line: -line.n_unscored)
    told = [_lacks(line) for line in lacking[:MOST_SAID]]
    left = len(lacking) - len(told)
    return " ".join([*told, *([f"{left} more lines in the table."] if left > 0 else [])])


def _lacks(line: Account) -> str:
    total = sum(line.counts.values())
    why = [f"{count(n)} {WORDS[kind].lower()}" for kind, n in line.counts.items() if n and kind is not ScoreStatus.OK]
    return (
        f"{line.target}: {count(line.n_unscored)} of {count(total)} answers have no {line.metric} ({', '.join(why)})."
    )


def _table(lines: Sequence[Account]) -> Table:
    kinds = [kind for kind in WORDS if kind is ScoreStatus.OK or any(line.counts[kind] for line in lines)]
    columns: list[Column | str] = ["Metric", "Target"]
    columns += [Column(title=WORDS[kind], align="right", format=count) for kind in kinds]
    rows = [(line.metric, line.target, *(line.counts[kind] for kind in kinds)) for line in lines]
    return Table(columns=columns, rows=rows)


panel = Panel(needs=frozenset({"target", "error"}), build=_build, place=25)
