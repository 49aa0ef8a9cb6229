"""How far a judge agrees with people who rated the same answers: Cohen's kappa, and who said what how often.

It stands on records and on a table of labels, so any metric can be held against people, one without a judge too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.evaluation import judgements
from mlaas_lab.records import metrics_of
from mlaas_lab.stats.agreement import Agreement, Weights, kappa

FEWEST = 30
"""With fewer labels the interval says little, and its formula is rough."""
HALF = 0.5
"""From here on a rating counts as yes, where a judge gives values between."""
WORDS: Mapping[str, float] = {
    **dict.fromkeys(("yes", "true", "pass", "good"), 1.0),
    **dict.fromkeys(("no", "false", "fail", "bad"), 0.0),
    "tie": HALF,
}
"""Labels that are words."""


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """One metric and people's labels."""

    metric: str
    agreement: Agreement
    weights: Weights
    at: float | None
    """Both counted as yes from this value on; None: the ratings were compared as they are."""
    counts: tuple[tuple[float, float, int], ...]
    """Label, the metric's rating, and how often they met, by label."""
    n_unscored: int
    """Labels of answers that have no score."""
    n_unmatched: int
    """Labels of no answer in the records."""


def labels(path: Path) -> pl.DataFrame:
    """People's ratings in a CSV, TSV, JSONL or Parquet file: `sample_id`, `label`, and `target` and `repeat` if given.

    Raises:
        DataError: if the file cannot be read, or a label is neither a number nor one of WORDS.
    """
    frame = _table(path)
    if "sample_id" not in frame.columns and "id" in frame.columns:
        frame = frame.rename({"id": "sample_id"})
    if lacking := {"sample_id", "label"} - {*frame.columns}:
        raise DataError(f"{path} has no column {', '.join(sorted(lacking))}; expected sample_id and label.")
    frame = frame.filter(pl.col("label").is_not_null())
    found = [_number(path, row, value) for row, value in enumerate(frame["label"].to_list(), 1)]
    frame = frame.with_columns(pl.col("sample_id").cast(pl.String), label=pl.Series(found, dtype=pl.Float64))
    if "repeat" in frame.columns:
        frame = frame.with_columns(pl.col("repeat").cast(pl.Int32, strict=False))
    return frame.select([name for name in ("sample_id", "target", "repeat", "label") if name in frame.columns])


def agreed(
    records: pl.DataFrame, rated: pl.DataFrame, metric: str, *, weights: Weights = "none", at: float | None = None
) -> Agreed:
    """How far `metric` agrees with the labels `rated`.

    Raises:
        UsageError: if the labels do not say which of several answers they are of.
        DataError: if no label is of an answer here, or one is on another scale.
    """
    keys = [name for name in ("sample_id", "target", "repeat") if name in rated.columns]
    own = records.select(*keys, rating=pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric)))
    both = rated.with_row_index("row").join(own, on=keys, how="inner")
    if both["row"].n_unique() < len(both):
        raise UsageError(
            "a label stands for several answers, and does not say for which.",
            next="Choose one with --target, or give the labels columns target and repeat.",
        )
    if both.is_empty():
        raise DataError(f"none of the {len(rated)} labels is of a sample in these records.")
    scored = both.filter(pl.col("rating").is_not_null())
    people, judge, at = _rated(metric, scored, at)
    table = pl.DataFrame({"label": people, "rating": judge})
    counts = table.group_by("label", "rating").len().sort("label", "rating")
    return Agreed(
        metric=metric,
        agreement=kappa(people.to_numpy(), judge.to_numpy(), weights=weights),
        weights=weights,
        at=at,
        counts=tuple(counts.iter_rows()),
        n_unscored=len(both) - len(scored),
        n_unmatched=len(rated) - len(both),
    )


def flat(one: Agreed, target: str | None) -> dict[str, float]:
    """An agreement as MLflow's flat metrics, as far as there are numbers: `faithfulness_judge_….kappa` and so on."""
    name = judgements.flat(one.metric if target is None else f"{one.metric}.{target}")
    found = one.agreement
    said = {"kappa": found.kappa, "kappa_ci_low": found.ci_low, "kappa_ci_high": found.ci_high, "kappa_n": found.n}
    return {f"{name}.{key}": float(value) for key, value in said.items() if value is not None}


def named(records: pl.DataFrame, word: str) -> str:
    """The metric of `records` that `word` names, in full or without its options; empty: the only one with a judge.

    Raises:
        UsageError: if there is none, or more than one.
    """
    known = metrics_of(records.columns)
    if word in known:
        return word
    fits = [name for name in known if registry.parted(name)[0] == word or (not word and f"{name}_judge" in records)]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        told = f"there is no metric {word!r}" if word else "no metric here has a judge"
        raise UsageError(f"{told}.", next=did_you_mean(word, known) or f"Known: {', '.join(known)}.")
    raise UsageError(f"several metrics fit: {', '.join(fits)}.", next="Name one of them with --metric.")


def _rated(metric: str, scored: pl.DataFrame, at: float | None) -> tuple[pl.Series, pl.Series, float | None]:
    """Labels and ratings (n,) each on one scale, and where they were cut in two."""
    people, judge = scored["label"], scored["rating"]
    name, given = registry.parted(metric)
    scale = int(given.get("scale", 5)) if name == "rubric" else 1
    if at is None and scale > 1 and (people > 1).any():
        _check(scored, people.is_between(1, scale) & (people == people.round()), f"a whole number from 1 to {scale}")
        return people, (judge * (scale - 1)).round() + 1, None
    _check(scored, people.is_between(0, 1), "a number from 0 to 1, or yes or no")
    if at is None and people.is_in([0.0, HALF, 1.0]).all() and judge.is_in([0.0, HALF, 1.0]).all():
        return people, judge, None
    cut = HALF if at is None else at
    return (people >= cut).cast(pl.Float64), (judge >= cut).cast(pl.Float64), cut


def _check(scored: pl.DataFrame, fits: pl.Series, expected: str) -> None:
    wrong = scored.filter(~fits)
    if len(wrong):
        first = wrong.row(0, named=True)
        raise DataError(f"the label of sample {first['sample_id']!r} is {first['label']:g}, expected {expected}.")


def _table(path: Path) -> pl.DataFrame:
    path = path.expanduser()
    try:
        match path.suffix:
            case ".parquet":
                return pl.read_parquet(path)
            case ".jsonl" | ".ndjson":
                return _lines(path)
            case suffix:
                return pl.read_csv(path, infer_schema_length=0, separator="\t" if suffix == ".tsv" else ",")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        reason = "does not exist" if not path.exists() else f"cannot be read: {' '.join(str(error).split())[:120]}"
        raise DataError(f"{path} {reason}; expected a table with sample_id and label.") from None


def _lines(path: Path) -> pl.DataFrame:
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    wanted = ("id", "sample_id", "label", "target", "repeat")
    names = [name for name in wanted if any(isinstance(row, dict) and name in row for row in rows)]
    return pl.DataFrame(
        {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in names},
        schema=dict.fromkeys(names, pl.String),
    )


def _number(path: Path, row: int, value: Any) -> float:
    text = str(value).strip().lower()
    if text in WORDS:
        return WORDS[text]
    try:
        return float(text)
    except ValueError:
        known = ", ".join(WORDS)
        raise DataError(f"{path}, row {row}: label {value!r} is no number and none of {known}.") from None
