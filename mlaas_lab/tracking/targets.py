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

from mlaas_lab.schema import JSON
from mlaas_lab.stats.intervals import Floats, Limits, quantile_limits
from mlaas_lab.stats.student import t_quantile
from mlaas_lab.tracking.params import metric_name, redacted, short

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
MICRO = 1_000_000
"""Micro-dollars in a dollar: every call costs a whole number of them, so sums are exact."""
COLUMNS = (
    *("target", "target_index", "provider", "region", "emulated", "model", "error", "cached_at"),
    *("latency_s", "ttft_s", "tokens_per_s", "cost_usd", "input_tokens", "output_tokens"),
)
"""What is read."""


@dataclass(frozen=True, kw_only=True)
class TargetRun:
    """One target, as its run in MLflow will have it."""

    index: int
    """Place of the target among those named."""
    name: str
    """The target, without what looks like a key."""
    facts: Mapping[str, str]
    """Provider, region, model and whether it was emulated; what nobody knows is left out."""
    metrics: Mapping[str, float]


def targets(records: Path, lines: Sequence[Mapping[str, JSON]]) -> list[TargetRun]:
    """The targets of an evaluation in their order, from its records and the lines of its summary.

    Raises:
        OSError, PolarsError: if the records cannot be read.
    """
    scan = pl.scan_parquet(records)
    present = scan.collect_schema().names()
    frame = scan.select([name for name in COLUMNS if name in present]).collect()
    parts = frame.group_by("target", maintain_order=True)
    return [_target(place, str(key[0]), part, lines) for place, (key, part) in enumerate(parts)]


def _target(place: int, name: str, part: pl.DataFrame, lines: Sequence[Mapping[str, JSON]]) -> TargetRun:
    index = part["target_index"][0] if "target_index" in part.columns else None
    quality = dict(_quality([line for line in lines if line["target"] == name]))
    numbers = {**quality, **_calls(part), **_times(part), **_money(part)}
    return TargetRun(
        index=place if index is None else int(index),
        name=short(redacted(name)),
        facts={**{key: _words(part, key) for key in ("provider", "region", "model")}, "emulated": _emulated(part)},
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
    errors = len(part) - part["error"].null_count()
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
    answers = part.filter(pl.col("error").is_null())
    prices = _values(answers, "cost_usd")
    now = answers.filter(pl.col("cached_at").is_null()) if "cached_at" in answers.columns else answers
    paid = _values(now, "cost_usd")
    low, high = _limits(1000 * prices)
    return {
        "usd_per_1000": 1000 * _sum(prices) / len(prices) if len(prices) else None,
        "usd_per_1000_ci_low": low,
        "usd_per_1000_ci_high": high,
        "usd_per_1000_n": len(prices) or None,
        "usd_spent": _sum(paid) if len(paid) == len(now) and len(answers) else None,
        "unpriced": len(now) - len(paid),
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
    return part[column].cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()


def _total(part: pl.DataFrame, column: str) -> int | None:
    """Over all answers, if each was counted."""
    answers = part.filter(pl.col("error").is_null())
    if column not in part.columns or not len(answers) or answers[column].null_count():
        return None
    return int(answers[column].sum())


def _words(part: pl.DataFrame, column: str) -> str:
    if column not in part.columns:
        return ""
    return short(redacted(", ".join(part[column].drop_nulls().unique().sort().to_list())))


def _emulated(part: pl.DataFrame) -> str:
    """`true` where a loopback emulator answered; empty where nobody said so."""
    return "true" if "emulated" in part.columns and part["emulated"].any() else ""


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
