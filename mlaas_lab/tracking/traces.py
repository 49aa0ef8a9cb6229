"""Records as MLflow traces: what was asked and said, each attempt at its real time, and a feedback for each metric.

A trace's id follows from its record, so sending it again changes nothing. Building knows no server; `send` talks to
one, in few requests: each trace's head with its feedbacks, then all spans of a target at once.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    Expectation,
    Feedback,
    Span,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import (
    AssessmentMetadataKey,
    SpanAttributeKey,
    TraceMetadataKey,
    TraceTagKey,
)

from mlaas_lab import registry
from mlaas_lab.records import metrics_of
from mlaas_lab.tracking.params import redacted, short
from mlaas_lab.tracking.server import Refused

Row = Mapping[str, Any]
SCHEMA = ("mlflow.trace_schema.version", "3")
AT_ONCE = 4
"""Requests to a server."""
PREVIEW = 1000
"""Characters of question and answer in MLflow's table."""
EVENTS = ("connected_at", "first_byte_at", "first_token_at")
"""Moments within an attempt."""
USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}
"""Column → MLflow's name for the same tokens."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One record, as MLflow will have it."""

    info: TraceInfo
    spans: tuple[Span, ...]


def send(client: MlflowClient, run_id: str, rows: Sequence[Row]) -> None:
    """Give the run `run_id` a trace for each of `rows`.

    Raises:
        Refused: if this server takes no spans.
    """
    if not rows:
        return
    experiment_id = str(client.get_run(run_id).info.experiment_id)
    made = [trace(row, run_id=run_id, experiment_id=experiment_id) for row in rows]
    tracing = TracingClient(client.tracking_uri)
    # A server answers several at once while its disk settles one; a database file has one writer.
    with ThreadPoolExecutor(AT_ONCE if client.tracking_uri.startswith("http") else 1) as pool:
        # The head first: MLflow takes it for a repair when the spans are there already, at twice the cost.
        list(pool.map(tracing.start_trace, [one.info for one in made]))
    try:
        tracing.log_spans(experiment_id, [span for one in made for span in one.spans])
    except RuntimeError as error:
        # How MLflow's client says that the server is too old.
        raise Refused(f"this server takes no spans: {error}") from None


def trace(row: Row, *, run_id: str, experiment_id: str) -> Trace:
    """The trace of one record: its head with the feedbacks, and its spans."""
    number = _digest(row["run_id"], row["target"], row["sample_id"], row["repeat"])
    trace_id = f"tr-{number:032x}"
    usage, cost = _usage(row), _cost(row)
    metadata = {
        TraceMetadataKey.SOURCE_RUN: run_id,
        SCHEMA[0]: SCHEMA[1],
        **({TraceMetadataKey.TOKEN_USAGE: json.dumps(usage)} if usage else {}),
        **({TraceMetadataKey.COST: json.dumps(cost)} if cost else {}),
    }
    began, ended = float(row["started_at"]), float(row["ended_at"] or row["started_at"])
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=round(began * 1000),
        execution_duration=max(0, round(ended * 1000) - round(began * 1000)),
        state=TraceState.ERROR if row["error"] else TraceState.OK,
        request_preview=_question(row)[:PREVIEW],
        response_preview=(row.get("output") or row["error"] or "")[:PREVIEW],
        client_request_id=row.get("request_id"),
        trace_metadata=metadata,
        tags=_tags(row),
        assessments=list(_assessments(row, trace_id, run_id)),
    )
    return Trace(info=info, spans=tuple(_spans(row, number, usage, cost)))


def _tags(row: Row) -> dict[str, str]:
    said = {"sample_id": row["sample_id"], "repeat": row["repeat"], "group": row.get("group"), "job_id": row["run_id"]}
    own = {f"mlaas.{key}": short(str(value)) for key, value in said.items() if value is not None}
    return {TraceTagKey.TRACE_NAME: _name(row), "mlaas.target": _name(row), **own}


def _assessments(row: Row, trace_id: str, run_id: str) -> Iterator[Assessment]:
    """A feedback for each metric, with its score or with why there is none, and what was hoped for."""
    at_ms = round(float(row["ended_at"] or row["started_at"]) * 1000)
    common = {"trace_id": trace_id, "create_time_ms": at_ms, "last_update_time_ms": at_ms}
    for metric in metrics_of(row):
        feedback = Feedback(
            name=metric,
            source=_source(row, metric),
            metadata=_judged(row, metric, run_id),
            **_value(row, metric),
            **common,
        )
        feedback.assessment_id = f"a-{_digest(trace_id, metric):032x}"
        yield feedback
    if row.get("reference") is not None:
        source = AssessmentSource(source_type="CODE", source_id="dataset")
        hoped = Expectation(name="expected_response", value=row["reference"], source=source, **common)
        hoped.assessment_id = f"a-{_digest(trace_id, 'expected_response', 'reference'):032x}"
        yield hoped


def _value(row: Row, metric: str) -> dict[str, Any]:
    value, status, reason = row[metric], row[f"{metric}_status"], row[f"{metric}_reason"]
    told = redacted(str(reason)) if reason else None
    if status == "ok" and value is not None and math.isfinite(value):
        return {"value": value, "rationale": told}
    code = status if status and status != "ok" else "no_score"
    return {"value": None, "error": AssessmentError(error_code=code, error_message=told or code)}


def _source(row: Row, metric: str) -> AssessmentSource:
    """Our code, or the judge by the name he was asked by."""
    name, options = registry.parted(metric)
    if f"{metric}_judge" not in row and "judge" not in options:
        return AssessmentSource(source_type="CODE", source_id=f"mlaas_lab/{name}")
    who = options.get("judge") or row.get(f"{metric}_judge") or name
    return AssessmentSource(source_type="LLM_JUDGE", source_id=short(redacted(str(who))))


def _judged(row: Row, metric: str, run_id: str) -> dict[str, str]:
    cost, model = row.get(f"{metric}_cost_usd"), row.get(f"{metric}_judge")
    return {
        AssessmentMetadataKey.SOURCE_RUN_ID: run_id,
        **({AssessmentMetadataKey.JUDGE_COST: str(cost)} if cost is not None else {}),
        **({"mlaas.judge_model": str(model)} if model else {}),
    }


def _spans(row: Row, number: int, usage: Mapping[str, int], cost: Mapping[str, float]) -> Iterator[Span]:
    """The call as a whole, and below it each request on the wire."""
    attempts = json.loads(row.get("timeline") or "[]")
    root = _digest(number, "root") & _SPAN_ID or 1
    asked = {"messages": json.loads(row.get("messages") or "[]")}
    said = {"role": "assistant", "content": row.get("output")}
    answer = {"choices": [{"message": said, "finish_reason": row.get("finish_reason")}]}
    attributes = {
        SpanAttributeKey.SPAN_TYPE: "CHAT_MODEL",
        SpanAttributeKey.MESSAGE_FORMAT: "openai",
        SpanAttributeKey.INPUTS: asked,
        SpanAttributeKey.OUTPUTS: answer if row.get("output") is not None else None,
        SpanAttributeKey.CHAT_USAGE: usage or None,
        SpanAttributeKey.LLM_COST: cost or None,
        SpanAttributeKey.MODEL: row.get("model"),
        SpanAttributeKey.MODEL_PROVIDER: row.get("provider"),
        **{f"mlaas.{key}": row.get(key) for key in _TOLD},
        "mlaas.contexts": json.loads(row["contexts"]) if row.get("contexts") else None,
    }
    began, ended = row["started_at"], row["ended_at"] or row["started_at"]
    yield _span((number, root, None), _name(row), (began, ended), attributes, failure=_failure(row, ended), events=[])
    for n, one in enumerate(attempts, 1):
        yield _attempt((number, (_digest(number, n) & _SPAN_ID) or 1, root), n, one)


_SPAN_ID = (1 << 64) - 1
_TOLD = (
    "region",
    "emulated",
    "unchecked",
    "sample_id",
    "group",
    "repeat",
    "price_source",
    "price_date",
    "cached_at",
    "ttft_s",
)
"""Columns that a span repeats."""


def _failure(row: Row, at: float) -> Row | None:
    if not row["error"]:
        return None
    return {"code": row["error"], "message": redacted(str(row.get("error_message") or row["error"])), "at": at}


def _attempt(ids: tuple[int, int, int | None], n: int, one: Row) -> Span:
    outcome = one.get("error") or one.get("status")
    name = f"attempt {n}: {outcome}" if outcome else f"attempt {n}"
    error = one.get("error")
    attributes = {SpanAttributeKey.SPAN_TYPE: "TASK", "http.response.status_code": one.get("status")}
    events = [
        {"name": key.removesuffix("_at"), "time_unix_nano": _ns(one[key]), "attributes": {}}
        for key in EVENTS
        if one.get(key) is not None
    ]
    failure = {"code": error, "message": error, "at": one["ended_at"]} if error else None
    return _span(ids, name, (one["started_at"], one["ended_at"]), attributes, failure=failure, events=events)


def _span(
    ids: tuple[int, int, int | None],
    name: str,
    times: tuple[float, float],
    attributes: Mapping[str, Any],
    *,
    failure: Row | None,
    events: list[dict[str, Any]],
) -> Span:
    """`ids` are those of the trace, of the span and of its parent; unknown attributes are left out."""
    trace_id, span_id, parent_id = ids
    raised = []
    if failure:
        said = {"exception.type": str(failure["code"]), "exception.message": str(failure["message"])}
        raised = [{"name": "exception", "time_unix_nano": _ns(failure["at"]), "attributes": said}]
    known = {key: json.dumps(value) for key, value in attributes.items() if value is not None}
    return Span.from_dict(
        {
            "trace_id": f"tr-{trace_id:032x}",
            "span_id": f"{span_id:016x}",
            "parent_span_id": f"{parent_id:016x}" if parent_id else None,
            "name": name,
            "start_time_unix_nano": _ns(times[0]),
            "end_time_unix_nano": _ns(times[1]),
            "status": {"code": "ERROR" if failure else "OK", "message": str(failure["code"]) if failure else ""},
            "attributes": {SpanAttributeKey.REQUEST_ID: json.dumps(f"tr-{trace_id:032x}"), **known},
            "events": [*events, *raised],
        }
    )


def _usage(row: Row) -> dict[str, int]:
    """Tokens as MLflow counts them; without both of input and output there is no total."""
    found = {name: int(row[column]) for column, name in USAGE.items() if row.get(column) is not None}
    if {"input_tokens", "output_tokens"} <= found.keys():
        found["total_tokens"] = found["input_tokens"] + found["output_tokens"]
    return found


def _cost(row: Row) -> dict[str, float]:
    """The price of the call; nobody knows which part of it the input cost."""
    return {} if row.get("cost_usd") is None else {"total_cost": float(row["cost_usd"])}


def _question(row: Row) -> str:
    turns = json.loads(row.get("messages") or "[]")
    return str(turns[-1].get("content") or "") if turns else ""


def _name(row: Row) -> str:
    return short(redacted(str(row["target"])))


def _digest(*words: object) -> int:
    """A number of 128 bits that follows from `words`."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, words)).encode()).digest()[:16])


def _ns(at: float) -> int:
    """UTC seconds as whole nanoseconds."""
    return round(at * 1e9)
