"""A record as one flat row: what stands in which column."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import compress
from operator import is_not
from typing import Any

import orjson

from mlaas_lab.schema import Completion, Record, Usage

_IS_KNOWN = partial(is_not, None)


def row(record: Record, metrics: Sequence[str]) -> dict[str, Any]:
    """The columns of `record` that are known; of each of `metrics`, all three."""
    done = record.completion
    attempts = done.attempts if done else record.attempts
    failures = [one for one in attempts if one.error is not None]
    cost = record.cost
    found: dict[str, Any] = {
        "target": record.target,
        "provider": record.provider,
        "region": record.region,
        "emulated": record.emulated or None,
        "unchecked": record.unchecked or None,
        "sample_id": record.sample_id,
        "repeat": record.repeat,
        "group": record.group,
        "messages": orjson.dumps(record.messages).decode(),
        "contexts": None if record.contexts is None else orjson.dumps(record.contexts).decode(),
        "reference": record.reference,
        "error": record.error,
        "error_message": record.error_message,
        "attempts": len(attempts),
        "timeline": orjson.dumps(attempts).decode(),
        "failures": orjson.dumps(failures).decode(),
        "cost_usd": None if cost.usd is None else float(cost.usd),
        "price_source": cost.source,
        "price_date": cost.date,
        "cached_at": record.cached_at,
        "intended_at": record.intended_at,
        "offered_rate": record.offered_rate,
    }
    if attempts:
        found["started_at"], found["ended_at"] = attempts[0].started_at, attempts[-1].ended_at
        found["wall_s"] = attempts[-1].ended_at - attempts[0].started_at
    _counts(found, done.usage if done else record.billed)
    if done:
        _answer(found, done)
    if done and record.intended_at is not None:
        _since(found, done, record.intended_at)
    if record.gaps_s is not None:
        found["gaps_s"] = orjson.dumps([round(gap, 6) for gap in record.gaps_s]).decode()
    # What is null need not be said: half of a line. In C, since this is done for every answer.
    found = dict(compress(found.items(), map(_IS_KNOWN, found.values())))
    _scores(found, record, metrics)
    return found


def _counts(found: dict[str, Any], usage: Usage) -> None:
    found["input_tokens"] = usage.input_tokens
    found["output_tokens"] = usage.output_tokens
    found["cached_tokens"] = usage.cached_tokens
    found["cache_write_tokens"] = usage.cache_write_tokens
    found["reasoning_tokens"] = usage.reasoning_tokens


def _answer(found: dict[str, Any], done: Completion) -> None:
    found["output"] = done.text
    found["finish_reason"] = done.finish_reason
    found["model"] = done.model
    found["request_id"] = done.request_id
    found["latency_s"] = done.latency_s
    found["ttft_s"] = done.ttft_s
    found["tokens_per_s"] = done.tokens_per_s


def _since(found: dict[str, Any], done: Completion, intended_at: float) -> None:
    """The times of a load test: whoever wanted an answer then has waited since then, whatever the reason was."""
    last = done.attempts[-1]
    found["latency_s"] = last.ended_at - intended_at
    found["ttft_s"] = None if last.first_token_at is None else last.first_token_at - intended_at


def _scores(found: dict[str, Any], record: Record, metrics: Sequence[str]) -> None:
    scores: Mapping[str, Any] = record.scores
    for name in metrics:
        score = scores.get(name)
        found[name] = score.value if score else None
        found[f"{name}_status"] = score.status if score else "not_applicable"
        found[f"{name}_reason"] = score.reason if score else record.error
