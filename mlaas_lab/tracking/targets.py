"""What one target of an evaluation did, as tags, params and metrics: what its own MLflow run will say.

It knows no MLflow. Quality comes from the job's summary, time and money from its records, by
the definitions of the panels: the latency of the answered attempt, the price of what was answered.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlaas_lab.records import metrics_of
from mlaas_lab.schema import JSON
from mlaas_lab.stats.intervals import Floats, Limits, quantile_limits
from mlaas_lab.stats.student import t_quantile
from mlaas_lab.tracking.params import metric_name, redacted, short

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
MICRO = 1_000_000
"""Micro-dollars in a dollar: every call costs a whole number of them, so sums are exact."""
WORDS = ("provider", "region", "model")
FLAGS = ("emulated", "unchecked")
NUMBERS = ("latency_s", "ttft_s", "tokens_per_s", "cost_usd", "input_tokens", "output_tokens")


@dataclass(frozen=True, kw_only=True)
class TargetRun:
    """One target, as its run in MLflow will have it."""

    index: int
    """Place of the target among those named."""
    name: str
    """The target, without what looks like a key."""
    facts: Mapping[str, str]
    """Provider, region, model, whether it was emulated or unchecked; what nobody knows is left out."""
    metrics: Mapping[str, float]


def targets(records: Path, lines: Sequence[Mapping[str, JSON]]) -> list[TargetRun]:
    """The targets of an evaluation in their order, from its records and the lines of its summary.

    Raises:
        OSError, PolarsError: if the records cannot be read.
    """
    scan = pl.scan_parquet(records)
    present = scan.collect_schema().names()
    facts = scan.group_by("target", maintain_order=True).agg(_facts(present)).collect()
    # One target after the other, numbers alone: the texts of ten million records need not fit.
    return [
        _target(place, row, scan.filter(pl.col("target") == row["target"]).select(_numbers(present)).collect(), lines)
        for place, row in enumerate(facts.iter_rows(named=True))
    ]


def _facts(present: Sequence[str]) -> list[pl.Expr]:
    found = [pl.col(name).drop_nulls().unique().sort() for name in WORDS if name in present]
    found += [pl.col(name).any() for name in FLAGS if name in present]
    return [*found, pl.col("target_index").first()] if "target_index" in present else found


def _numbers(present: Sequence[str]) -> list[pl.Expr]:
    """What is known in numbers; `failed` and `kept` of each call."""
    found = [pl.col(name).cast(pl.Float64).fill_nan(None) for name in NUMBERS if name in present]
    kept = pl.col("cached_at").is_not_null() if "cached_at" in present else pl.lit(value=False)
    return [*found, pl.col("error").is_not_null().alias("failed"), kept.alias("kept"), *_judges(present)]


def _judges(present: Sequence[str]) -> list[pl.Expr]:
    """What judges cost for each row, null where nothing is known of it, and how many of their scores have no price."""
    judges = [name for name in metrics_of(present) if f"{name}_cost_usd" in present]
    if not judges:
        return []
    paid = [pl.col(f"{name}_cost_usd") for name in judges]
    judged = [pl.col("error").is_null() & (pl.col(f"{name}_status") != "not_applicable") for name in judges]
    unpriced = [was & cost.is_null() for was, cost in zip(judged, paid, strict=True)]
    known = pl.any_horizontal([cost.is_not_null() for cost in paid])
    return [
        pl.when(known).then(pl.sum_horizontal(paid)).alias("judge_usd"),
        pl.sum_horizontal(unpriced).alias("judge_unpriced"),
    ]


def _target(place: int, row: Mapping[str, Any], part: pl.DataFrame, lines: Sequence[Mapping[str, JSON]]) -> TargetRun:
    quality = dict(_quality([line for line in lines if line["target"] == row["target"]]))
    numbers = {**quality, **_calls(part), **_times(part), **_money(part)}
    words = {key: short(redacted(", ".join(row.get(key) or ()))) for key in WORDS}
    return TargetRun(
        index=int(row.get("target_index", place)),
        name=short(redacted(str(row["target"]))),
        facts={**words, **{name: "true" if row.get(name) else "" for name in FLAGS}},
        metrics={key: float(value) for key, value in numbers.items() if _known(value)},
    )


def _quality(lines: Sequence[Mapping[str, JSON]]) -> Iterator[tuple[str, Any]]:
    """`exact_match`, `exact_match_ci_low` and so on."""
    for line in lines:
        name = metric_name(str(line["metric"]))
        yield name, line["mean"]
        for key in ("ci_low", "ci_high", "n", "n_error", "n_groups"):
            yield f"{name}_{key}", line.get(key)


def _calls(part: pl.DataFrame) -> dict[str, Any]:
    errors = int(part["failed"].sum())
    counted = {name: _total(part, name) for name in ("input_tokens", "output_tokens")}
    return {"calls": len(part), "answers": len(part) - errors, "errors": errors, **counted}


def _times(part: pl.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in ("latency_s", "ttft_s"):
        values = _values(part, column)
        found[f"{column}_n"] = len(values) or None
        for name, q in QUANTILES.items() if len(values) else ():
            low, high = quantile_limits(values, q)
            found[f"{column}_{name}"] = float(np.quantile(values, q))
            found[f"{column}_{name}_ci_low"], found[f"{column}_{name}_ci_high"] = low, high
    pace = _values(part, "tokens_per_s")
    return {**found, "tokens_per_s": float(np.median(pace)) if len(pace) else None}


def _money(part: pl.DataFrame) -> dict[str, Any]:
    """Cost per 1,000 answers, and what was spent, unless an answer has no price; cached ones were paid for earlier."""
    answers = part.filter(~pl.col("failed"))
    prices = _values(answers, "cost_usd")
    now = answers.filter(~pl.col("kept"))
    paid = _values(now, "cost_usd")
    low, high = _limits(1000 * prices)
    return {
        "usd_per_1000": 1000 * _sum(prices) / len(prices) if len(prices) else None,
        "usd_per_1000_ci_low": low,
        "usd_per_1000_ci_high": high,
        "usd_per_1000_n": len(prices) or None,
        "usd_spent": _sum(paid) if len(paid) == len(now) and len(answers) else None,
        "unpriced": len(now) - len(paid),
        "judge_usd": _sum(judged) if len(judged := _values(part, "judge_usd")) else None,
        "judge_unpriced": part["judge_unpriced"].sum() if "judge_unpriced" in part.columns else None,
    }


def _limits(values: Floats) -> Limits:
    """Student's t limits of the mean (n,); money has no upper bound."""
    n = len(values)
    if n < 2 or np.ptp(values) == 0:
        return None, None
    mean, half = float(values.mean()), t_quantile(0.975, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return max(0.0, mean - half), mean + half


def _sum(prices: Floats) -> float:
    return int(np.round(prices * MICRO).astype(np.int64).sum()) / MICRO


def _values(part: pl.DataFrame, column: str) -> Floats:
    """What is known of a column (n,)."""
    if column not in part.columns:
        return np.empty(0)
    return part[column].drop_nulls().to_numpy()


def _total(part: pl.DataFrame, column: str) -> int | None:
    """Over all answers, if each was counted."""
    answers = part.filter(~pl.col("failed"))
    if column not in part.columns or not len(answers) or answers[column].null_count():
        return None
    return int(answers[column].sum())


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
