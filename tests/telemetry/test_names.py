"""The same span for readers of OpenInference and of traceAI; the names were read in their packages."""

import json

import pytest
from loopback import Loopback

from mlaas_lab.telemetry.names import openinference, traceai

SAID = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "asked",
    "gen_ai.request.max_tokens": 9,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.response.model": "answered",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 3,
    "mlaas.cost.usd": 0.01,
    "mlaas.region": "eu",
}
CONTENT = {
    "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"ho"}],"finish_reason":"stop"}]',
}
PARAMETERS = '{"max_tokens": 9, "stop_sequences": ["END"]}'


def test_openinference():
    assert openinference(SAID) == {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.system": "openai",
        "llm.model_name": "answered",
        "llm.request.model_name": "asked",
        "llm.response.model_name": "answered",
        "llm.invocation_parameters": PARAMETERS,
        "llm.finish_reason": "stop",
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 2,
        "llm.token_count.completion_details.reasoning": 3,
        "llm.cost.total": 0.01,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "mlaas.cost.usd": 0.01,
        "mlaas.region": "eu",
    }


def test_traceai():
    renamed = {
        "gen_ai.response.time_to_first_chunk": "gen_ai.server.time_to_first_token",
        "gen_ai.usage.cache_read.input_tokens": "gen_ai.usage.cache_read_tokens",
        "gen_ai.usage.cache_creation.input_tokens": "gen_ai.usage.cache_write_tokens",
        "gen_ai.usage.reasoning.output_tokens": "gen_ai.usage.output_tokens.reasoning",
    }
    assert traceai(SAID) == {
        **{renamed.get(name, name): value for name, value in SAID.items()},
        "gen_ai.span.kind": "LLM",
        "gen_ai.usage.total_tokens": 15,
        "gen_ai.request.parameters": PARAMETERS,
        "gen_ai.cost.total": 0.01,
    }


@pytest.mark.parametrize(
    ("names", "into", "out"),
    [
        (openinference, "llm.input_messages", "llm.output_messages"),
        (traceai, "gen_ai.input.messages", "gen_ai.output.messages"),
    ],
)
def test_messages_are_flat(names, into, out):
    new = {key: value for key, value in names({**SAID, **CONTENT}).items() if key not in names(SAID)}
    assert new == {
        f"{into}.0.message.role": "system",
        f"{into}.0.message.content": "Be brief.",
        f"{into}.1.message.role": "user",
        f"{into}.1.message.content": "hi",
        f"{out}.0.message.role": "assistant",
        f"{out}.0.message.content": "ho",
        "input.value": '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]',
        "input.mime_type": "application/json",
        "output.value": "ho",
        "output.mime_type": "text/plain",
    }


@pytest.mark.parametrize("names", [openinference, traceai])
def test_spans_of_others_and_unknown_counts_are_left_alone(names):
    assert names({"http.method": "GET"}) == {"http.method": "GET"}
    assert not [
        key for key in names({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}) if "total" in key
    ]


@pytest.mark.parametrize(
    ("names", "key", "kind"),
    [
        ("openinference", "llm.token_count.completion", "openinference.span.kind"),
        ("traceai", "gen_ai.usage.output_tokens", "gen_ai.span.kind"),
    ],
)
def test_a_collector_gets_the_other_names(receiver, ask, names, key, kind):
    with Loopback() as server:
        asked = f"openai/any?base_url={server.base_url}"
        done = ask(asked, telemetry=receiver.url, telemetry_names=names)
    (span,) = receiver.spans
    assert (span.name, span.attributes[key], span.attributes[kind]) == ("chat any", done.usage.output_tokens, "LLM")
    assert json.loads(span.attributes.get("llm.invocation_parameters") or "{}").get("model") is None
