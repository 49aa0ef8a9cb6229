"""The same attributes under other people's names: OpenInference 0.1.42 and FutureAGI's traceAI (1.1).

Pure: attributes in, attributes out. What those do not name keeps OpenTelemetry's name; `mlaas.*` stays.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

Attributes = Mapping[str, Any]

OPENINFERENCE = {
    "gen_ai.request.model": "llm.request.model_name",
    "gen_ai.response.model": "llm.response.model_name",
    "gen_ai.usage.input_tokens": "llm.token_count.prompt",
    "gen_ai.usage.output_tokens": "llm.token_count.completion",
    "gen_ai.usage.cache_read.input_tokens": "llm.token_count.prompt_details.cache_read",
    "gen_ai.usage.cache_creation.input_tokens": "llm.token_count.prompt_details.cache_write",
    "gen_ai.usage.reasoning.output_tokens": "llm.token_count.completion_details.reasoning",
}
TRACEAI = {
    "gen_ai.usage.cache_read.input_tokens": "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.response.time_to_first_chunk": "gen_ai.server.time_to_first_token",
}
CONTENT = ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages")
REQUEST = "gen_ai.request."


def openinference(said: Attributes) -> dict[str, Any]:
    """`said` as OpenInference calls it."""
    if "gen_ai.operation.name" not in said:
        return dict(said)
    gone = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.response.finish_reasons", *CONTENT)
    found = {
        OPENINFERENCE.get(name, name): value
        for name, value in said.items()
        if name not in gone and not (name.startswith(REQUEST) and name not in OPENINFERENCE)
    }
    finish = said.get("gen_ai.response.finish_reasons")
    more = {
        "openinference.span.kind": "LLM",
        "llm.provider": said.get("gen_ai.provider.name"),
        "llm.system": said.get("gen_ai.provider.name"),
        "llm.model_name": said.get("gen_ai.response.model") or said.get("gen_ai.request.model"),
        "llm.token_count.total": _total(said),
        "llm.invocation_parameters": _parameters(said),
        "llm.finish_reason": finish[0] if finish else None,
        "llm.cost.total": said.get("mlaas.cost.usd"),
    }
    more |= _messages(said, into="llm.input_messages", out="llm.output_messages")
    return {**found, **{name: value for name, value in more.items() if value is not None}}


def traceai(said: Attributes) -> dict[str, Any]:
    """`said` as traceAI calls it."""
    if "gen_ai.operation.name" not in said:
        return dict(said)
    found = {TRACEAI.get(name, name): value for name, value in said.items() if name not in CONTENT}
    more = {
        "gen_ai.span.kind": "LLM",
        "gen_ai.usage.total_tokens": _total(said),
        "gen_ai.request.parameters": _parameters(said),
        "gen_ai.cost.total": said.get("mlaas.cost.usd"),
    }
    more |= _messages(said, into="gen_ai.input.messages", out="gen_ai.output.messages")
    return {**found, **{name: value for name, value in more.items() if value is not None}}


RENAMED: Mapping[str, Callable[[Attributes], dict[str, Any]]] = {
    "otel": dict,
    "openinference": openinference,
    "traceai": traceai,
}
"""What `telemetry_names` may be."""


def _total(said: Attributes) -> int | None:
    into, out = said.get("gen_ai.usage.input_tokens"), said.get("gen_ai.usage.output_tokens")
    return None if into is None or out is None else into + out


def _parameters(said: Attributes) -> str:
    names = [name for name in said if name.startswith(REQUEST) and name != "gen_ai.request.model"]
    values = {name.removeprefix(REQUEST): said[name] for name in names}
    return json.dumps({name: list(v) if isinstance(v, tuple) else v for name, v in values.items()})


def _messages(said: Attributes, *, into: str, out: str) -> dict[str, str]:
    """The turns, one attribute each; the first is the system's."""
    system = [{"role": "system", "parts": [part]} for part in _read(said, "gen_ai.system_instructions")]
    asked = [*system, *_read(said, "gen_ai.input.messages")]
    answered = _read(said, "gen_ai.output.messages")
    found: dict[str, str] = {}
    for prefix, turns in ((into, asked), (out, answered)):
        for n, turn in enumerate(turns):
            found[f"{prefix}.{n}.message.role"] = turn["role"]
            found[f"{prefix}.{n}.message.content"] = _text(turn)
    if asked:
        plain = [{"role": turn["role"], "content": _text(turn)} for turn in asked]
        found["input.value"], found["input.mime_type"] = json.dumps(plain, ensure_ascii=False), "application/json"
    if answered:
        found["output.value"], found["output.mime_type"] = _text(answered[0]), "text/plain"
    return found


def _text(turn: Mapping[str, Any]) -> str:
    return "".join(part["content"] for part in turn["parts"])


def _read(said: Attributes, name: str) -> list[dict[str, Any]]:
    return json.loads(said[name]) if name in said else []
