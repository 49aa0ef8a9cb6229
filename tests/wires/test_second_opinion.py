"""Our counts of Anthropic's and Google's tokens are those of genai-prices, which reads the same bodies by rules of its own."""

import json

import pytest
from genai_prices import extract_usage

from mlaas_lab.wires import anthropic_messages, gemini

ANTHROPIC = [
    {"input_tokens": 4, "output_tokens": 15},
    {"input_tokens": 4, "output_tokens": 15, "cache_read_input_tokens": 8845, "cache_creation_input_tokens": 0},
    {
        "input_tokens": 4,
        "output_tokens": 15,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 9},
    },
]
GOOGLE = [
    {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    {
        "promptTokenCount": 17713,
        "cachedContentTokenCount": 17379,
        "candidatesTokenCount": 68,
        "thoughtsTokenCount": 821,
        "totalTokenCount": 18602,
    },
    {"promptTokenCount": 7, "thoughtsTokenCount": 3, "totalTokenCount": 10},
    {
        "promptTokenCount": 7,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 17,
    },
]


def ours(wire, body):
    reader = wire.reader(False)
    list(reader.feed(json.dumps(body).encode()))
    return reader.close().usage


def same(usage, theirs):
    assert usage.input_tokens == theirs.input_tokens
    assert usage.output_tokens == theirs.output_tokens
    assert (usage.cached_tokens or 0) == (theirs.cache_read_tokens or 0)
    assert (usage.cache_write_tokens or 0) == (theirs.cache_write_tokens or 0)
    assert (usage.reasoning_tokens or 0) == (theirs.output_reasoning_tokens or 0)


@pytest.mark.parametrize("usage", ANTHROPIC)
def test_anthropic(usage):
    content = [{"type": "text", "text": "a"}]
    body = {
        "type": "message",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": "end_turn",
        "usage": usage,
    }
    same(ours(anthropic_messages.wire, body), extract_usage(body, provider_id="anthropic").usage)


@pytest.mark.parametrize("usage", GOOGLE)
def test_google(usage):
    candidate = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
    body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}
    same(ours(gemini.wire, body), extract_usage(body, provider_id="google").usage)
