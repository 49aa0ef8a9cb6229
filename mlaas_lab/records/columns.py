"""The columns of a table of records: their types, and what they mean with the unit. Users read the file too."""

from collections.abc import Iterable
from typing import Any

import polars as pl

COLUMNS: dict[str, tuple[Any, str]] = {
    "run_id": (pl.String, "id of the job that measured it; the MLflow run has it as tag `mlaas.job_id`"),
    "target": (pl.String, "what was asked, `provider/model?key=value` or an endpoint's name"),
    "target_index": (pl.Int32, "place of the target among those named, from 0"),
    "provider": (pl.String, "the vendor; null for endpoints of ours"),
    "region": (pl.String, "where it was asked, null when the target has no regions"),
    "emulated": (pl.Boolean, "a loopback emulator answered, not the vendor"),
    "unchecked": (pl.Boolean, "an endpoint of ours answered that was served with `--no-parity`"),
    "sample_id": (pl.String, "id of the dataset's row"),
    "sample_index": (pl.Int32, "place of the sample in the dataset, from 0"),
    "repeat": (pl.Int32, "which repeat of the same question, from 0"),
    "group": (pl.String, "group of the sample, null when it has none"),
    "messages": (pl.String, "the turns that were sent, as JSON `[{role, content}]`"),
    "contexts": (
        pl.String,
        "passages that were retrieved and shown, as JSON `[{source, text, score}]`; null where nothing is retrieved",
    ),
    "reference": (pl.String, "the answer that was hoped for, null when there is none"),
    "output": (pl.String, "the text that came back, null when none did"),
    "finish_reason": (pl.String, "why the output ended, as the target says"),
    "model": (pl.String, "the model that says it answered"),
    "request_id": (pl.String, "the target's own id of the request"),
    "error": (
        pl.String,
        "class of the error in snake case, null when it was answered; `cancelled`, `cap_reached`: never asked",
    ),
    "error_message": (pl.String, "the error in one line"),
    "started_at": (pl.Float64, "when the first attempt began, UTC seconds since 1970"),
    "ended_at": (pl.Float64, "when the last attempt ended, UTC seconds since 1970"),
    "intended_at": (pl.Float64, "when a load test wanted it to be sent, UTC seconds since 1970; null outside of them"),
    "offered_rate": (
        pl.Float64,
        "requests a second that a load test offered then; null where each waited for an answer before it",
    ),
    "latency_s": (
        pl.Float64,
        "seconds the answered attempt took; in a load test all seconds since `intended_at`; null without an answer",
    ),
    "wall_s": (pl.Float64, "seconds from the first attempt to the end, retries and back-off included"),
    "ttft_s": (
        pl.Float64,
        "seconds to the first token of the answered attempt, in a load test since `intended_at`; null unless streamed",
    ),
    "gaps_s": (pl.String, "seconds between the pieces of a stream, as JSON `[0.021, …]`; null unless measured"),
    "tokens_per_s": (pl.Float64, "output tokens a second after the first; null unless streamed and counted"),
    "attempts": (pl.Int32, "requests on the wire, retries included"),
    "timeline": (pl.String, "those requests, as JSON `[{started_at, …, ended_at, status, error}]`, UTC seconds"),
    "failures": (
        pl.String,
        "those of them that failed, the same JSON, `[]` where none did: short, so that a large table is read fast",
    ),
    "cached_at": (
        pl.Float64,
        "taken over from an earlier evaluation: when it was really answered, UTC seconds since 1970",
    ),
    "input_tokens": (
        pl.Int64,
        "tokens read, cached ones included; null when the target does not say. Billed without an answer counts too",
    ),
    "output_tokens": (pl.Int64, "tokens written, reasoning included; null when the target does not say"),
    "cached_tokens": (pl.Int64, "input tokens that came from the target's cache"),
    "cache_write_tokens": (pl.Int64, "input tokens written to the target's cache"),
    "reasoning_tokens": (pl.Int64, "output tokens that were thought, not said"),
    "cost_usd": (pl.Float64, "price of the call in dollars, a whole number of micro-dollars; null when unpriced"),
    "price_source": (pl.String, "where the price comes from"),
    "price_date": (pl.String, "the day the price was valid, YYYY-MM-DD"),
    "until_decided": (
        pl.String,
        "rule by which fewer samples may be asked than planned: `{metric, planned, comparisons, margin, any_time}`",
    ),
}
"""Column → its type, and its meaning with the unit."""

METRIC_COLUMNS: dict[str, tuple[Any, str]] = {
    "": (pl.Float64, "the score; null when there is none"),
    "_status": (pl.String, "`ok`, `refused`, `parse_error`, `timeout`, `judge_error` or `not_applicable`"),
    "_reason": (pl.String, "why there is no score, or what the metric adds"),
}
"""Ending → type and meaning of the three columns that every metric has, after the others."""

JUDGE_COLUMNS: dict[str, tuple[Any, str]] = {
    "_cost_usd": (pl.Float64, "price of the judge's calls for this row in dollars; null where any of it is unknown"),
    "_judge": (pl.String, "the model that says it judged"),
    "_agreement": (pl.Float64, "share of its judgements, taken two by two, that are equal; null for fewer than two"),
}
"""Ending → type and meaning of what a metric with a judge has besides."""


def schema(metrics: Iterable[str] = ()) -> pl.Schema:
    """Types of all columns, those of `metrics` at the end."""
    own = {f"{metric}{ending}": kind for metric in metrics for ending, (kind, _) in METRIC_COLUMNS.items()}
    return pl.Schema({name: kind for name, (kind, _) in COLUMNS.items()} | own)


def metrics_of(columns: Iterable[str]) -> list[str]:
    """The metrics that a table with these columns has, in their order."""
    known = list(columns)
    return [name for name in known if f"{name}_status" in known and f"{name}_reason" in known]
