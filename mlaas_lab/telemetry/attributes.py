"""What a span says of a call, in OpenTelemetry's names for generative AI (conventions 1.44) and ours, `mlaas.*`.

Pure: it knows no OpenTelemetry library. What is unknown is left out. A vendor's error message is never told: vendors
repeat prompts and keys in it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from mlaas_lab import pricing
from mlaas_lab.errors import CallError, snake
from mlaas_lab.pricing import NONE, Lists
from mlaas_lab.providers import Provider
from mlaas_lab.schema import Attempt, Completion, Message, Target, Usage
from mlaas_lab.wires import Params

Value = str | bool | int | float | Sequence[str]
Attributes = dict[str, Value]

OURS = "mlaas_lab"
"""Provider of what we serve ourselves; the conventions have no name for it."""


class Routed(Protocol):
    """Of a route, what a span says."""

    @property
    def target(self) -> Target:
        """As it was named."""

    @property
    def place(self) -> Target:
        """With every parameter filled in."""

    @property
    def provider(self) -> Provider:
        """Whose wire it speaks."""

    @property
    def model(self) -> str:
        """As it is sent."""

    @property
    def name(self) -> str:
        """The target as text."""

    @property
    def url(self) -> str:
        """Where it is prompted; empty for what answers in this process."""

    @property
    def region(self) -> str | None:
        """Where it is asked, when the target has regions."""

    @property
    def emulated(self) -> bool:
        """A loopback emulator answers, not the vendor."""

    def params(self, params: Params, /) -> Params:
        """`params` with what the target says itself."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked of whom."""

    route: Routed
    messages: Sequence[Message]
    params: Params | None
    stream: bool


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that is over."""

    asked: Asked
    attempts: Sequence[Attempt]
    """Empty where nothing was sent."""
    usage: Usage | None
    completion: Completion | None = None
    error: CallError | None = None

    @property
    def name(self) -> str:
        """The span's."""
        return f"chat {self.asked.route.model}"

    @property
    def times_ns(self) -> tuple[int, int]:
        """When the first attempt began and the last one ended, in ns since 1970, as the record has it."""
        if not self.attempts:
            return (now := time.time_ns()), now
        return ns(self.attempts[0].started_at), ns(self.attempts[-1].ended_at)


def ns(at: float) -> int:
    """UTC seconds as whole nanoseconds."""
    return round(at * 1e9)


def attributes(call: Call, *, content: bool, book: Lists = NONE) -> Attributes:
    """All that is known of `call`, priced by the user's `book` first; prompts and answers only with `content`."""
    found = {**_asked(call.asked), **_answered(call), **_used(call.usage), **_ours(call, book)}
    if content:
        found |= _content(call)
    return {name: value for name, value in found.items() if value is not None}


def attempts(call: Call) -> list[tuple[str, Attributes, int]]:
    """Name, attributes and time of an event for each attempt, where there were several."""
    if len(call.attempts) < 2:
        return []
    return [("mlaas.attempt", _attempt(n, one), ns(one.started_at)) for n, one in enumerate(call.attempts, 1)]


def _attempt(n: int, one: Attempt) -> Attributes:
    said = {
        "mlaas.attempt": n,
        "mlaas.attempt.duration": one.ended_at - one.started_at,
        "http.response.status_code": one.status,
        "error.type": one.error,
    }
    return {name: value for name, value in said.items() if value is not None}


def _asked(asked: Asked) -> Mapping[str, Any]:
    route = asked.route
    params = route.params(asked.params or Params())
    where = urlsplit(route.url)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": route.provider.semconv or route.target.provider if route.target.provider else OURS,
        "gen_ai.request.model": route.model,
        "gen_ai.request.stream": asked.stream,
        "gen_ai.request.max_tokens": params.max_tokens,
        "gen_ai.request.temperature": params.temperature,
        "gen_ai.request.top_p": params.top_p,
        "gen_ai.request.seed": params.seed,
        "gen_ai.request.stop_sequences": params.stop or None,
        "server.address": where.hostname,
        "server.port": where.port or {"https": 443, "http": 80}.get(where.scheme),
    }


def _answered(call: Call) -> Mapping[str, Any]:
    done, error = call.completion, call.error
    last = call.attempts[-1] if call.attempts else None
    return {
        "gen_ai.response.model": done.model if done else None,
        "gen_ai.response.id": done.response_id if done else None,
        "gen_ai.response.finish_reasons": (done.finish_reason,) if done and done.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": done.ttft_s if done else None,
        "http.response.status_code": last.status if last else None,
        "error.type": snake(type(error).__name__) if error else None,
    }


def _used(usage: Usage | None) -> Mapping[str, Any]:
    usage = usage or Usage()
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def _ours(call: Call, book: Lists) -> Mapping[str, Any]:
    route, done, error = call.asked.route, call.completion, call.error
    found: dict[str, Any] = {
        "mlaas.route": route.name,
        "mlaas.region": route.region,
        "mlaas.emulated": route.emulated,
        "mlaas.attempts": len(call.attempts),
        "mlaas.request_id": done.request_id if done else error.request_id if error else None,
    }
    if call.usage is not None and call.attempts:
        at, model = call.attempts[-1].ended_at, done.model if done else None
        price = pricing.cost(route.place, call.usage, at=at, book=book, answered=model)
        found["mlaas.cost.usd"] = None if price.usd is None else float(price.usd)
        found["mlaas.cost.source"], found["mlaas.cost.date"] = price.source, price.date
    return found


def _content(call: Call) -> Mapping[str, Any]:
    system = [message.content for message in call.asked.messages if message.role == "system"]
    turns = [_turn(message.role, message.content) for message in call.asked.messages if message.role != "system"]
    done = call.completion
    answer = {**_turn("assistant", done.text), "finish_reason": done.finish_reason} if done else None
    return {
        "gen_ai.system_instructions": _json([_part(text) for text in system]) if system else None,
        "gen_ai.input.messages": _json(turns),
        "gen_ai.output.messages": _json([answer]) if answer else None,
    }


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [_part(text)]}


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
