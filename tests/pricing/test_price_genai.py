"""genai-prices by our sums: equal to its own for every model it knows, and to what it reads out of the vendors' bodies."""

import datetime as dt
import json
import random
from decimal import ROUND_UP, Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from mlaas_lab import pricing, registry
from mlaas_lab.pricing import calls, genai
from mlaas_lab.schema import Target, Usage

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SIZES = (0, 1, 128_001, 200_001, 272_001)


def usages(generator):
    """Calls of every length, with and without cache and reasoning."""
    for n_input in SIZES:
        n_output = generator.randrange(0, 5000)
        cached = generator.randrange(0, n_input + 1)
        written = generator.randrange(0, n_input - cached + 1)
        yield Usage(input_tokens=n_input, output_tokens=n_output)
        yield Usage(
            input_tokens=n_input,
            output_tokens=n_output,
            cached_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=generator.randrange(0, n_output + 1),
        )


def theirs(usage):
    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )


@pytest.mark.parametrize("provider", get_snapshot().providers, ids=lambda provider: provider.id)
def test_our_sum_equals_theirs_for_every_model(provider):
    generator = random.Random(provider.id)
    for model in provider.models:
        prices = model.get_prices(AT)
        if prices.input_mtok is None or prices.output_mtok is None:
            continue
        listed = genai._listed(genai._Listed(model, prices))
        for usage in usages(generator):
            expected = model.calc_price(theirs(usage), provider, genai_request_timestamp=AT).total_price
            assert calls._sum(calls._by_length(listed), usage)[0] == expected, (model.id, usage)


def test_price_of_that_day():
    then, now = (
        pricing.cost(Target.parse("openai/o3"), Usage(input_tokens=1000, output_tokens=1000), at=day.timestamp()).usd
        for day in (dt.datetime(2025, 5, 1, tzinfo=dt.UTC), AT)
    )
    assert then == Decimal("0.05")  # 10 + 40 dollars per million
    assert now == Decimal("0.01")  # 2 + 8 since 2025-06-10
    assert [p.since for p in pricing.prices(Target.parse("openai/o3"), at=AT.timestamp())][:1] == ["2025-06-10"]


@pytest.mark.parametrize(
    ("target", "dollars"),
    [
        ("openai/gpt-4o", "0.0035"),  # 2.5 and 10
        ("azure/gpt-4o", "0.0035"),
        ("bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0", "0.0015"),  # 1 and 5
        ("bedrock/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "0.00165"),  # a tenth more than global
        ("vertex/gemini-2.5-flash", "0.00055"),  # 0.3 and 2.5
        ("gemini/gemini-2.5-flash", "0.00055"),
        ("huggingface/meta-llama/Llama-3.3-70B-Instruct:groq", "0.000669"),  # 0.59 and 0.79
        ("openai/llama-3.3-70b-versatile?base_url=https://api.groq.com/openai/v1", "0.000669"),
    ],
)
def test_our_names_lead_to_theirs(target, dollars):
    found = pricing.cost(Target.parse(target), Usage(input_tokens=1000, output_tokens=100), at=AT.timestamp())
    assert found.usd == Decimal(dollars)
    assert found.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "target",
    [
        "huggingface/meta-llama/Llama-3.3-70B-Instruct",  # whoever is fastest
        "huggingface/meta-llama/Llama-3.3-70B-Instruct:nobody",
        "azureml/gpt-4o",
        "sagemaker/gpt-4o",
        "vllm/gpt-4o",
        "open/gpt-4o",
        "openai2/gpt-4o",
    ],
)
def test_nothing_is_priced_by_resemblance(target):
    assert pricing.cost(Target.parse(target), Usage(input_tokens=9, output_tokens=9), at=AT.timestamp()).usd is None
    assert pricing.prices(Target.parse(target), at=AT.timestamp()) == ()


def test_cache_and_reasoning_by_hand():
    used = Usage(input_tokens=1000, cached_tokens=600, cache_write_tokens=300, output_tokens=200, reasoning_tokens=150)
    found = pricing.cost(Target.parse("anthropic/claude-sonnet-4-5"), used, at=AT.timestamp())
    # 100 × 3 + 600 × 0.3 + 300 × 3.75 + 200 × 15 dollars per million
    assert found.usd == Decimal("0.004605")


def test_deployment_is_priced_by_the_model_that_answered():
    target, used = Target.parse("azure/support-bot?resource=r"), Usage(input_tokens=1000, output_tokens=100)
    assert pricing.cost(target, used, at=AT.timestamp()).usd is None
    assert pricing.cost(target, used, at=AT.timestamp(), answered="gpt-4o-2024-08-06").usd == Decimal("0.0035")
    elsewhere = Target.parse("openai/support-bot")
    assert pricing.cost(elsewhere, used, at=AT.timestamp(), answered="gpt-4o").usd is None


def test_emulated_costs_what_the_vendor_asks_and_says_so():
    used = Usage(input_tokens=1000, output_tokens=100)
    for words in ("emulated=yes", "emulated=http://127.0.0.1:9/v1&base_url=http://127.0.0.1:9/v1"):
        found = pricing.cost(Target.parse(f"openai/gpt-4o?{words}"), used, at=AT.timestamp())
        assert found.usd == Decimal("0.0035")
        assert found.source.startswith("emulated: genai-prices ")


BODIES = {
    "openai/gpt-4o-mini": (
        "openai_chat",
        {"provider_id": "openai", "api_flavor": "chat"},
        {
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 2006,
                "completion_tokens": 504,
                "total_tokens": 2510,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 496, "audio_tokens": 0},
            },
        },
    ),
    "anthropic/claude-sonnet-4-5": (
        "anthropic_messages",
        {"provider_id": "anthropic"},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 4,
                "cache_read_input_tokens": 8845,
                "cache_creation_input_tokens": 120,
                "output_tokens": 77,
                "output_tokens_details": {"thinking_tokens": 30},
            },
        },
    ),
    "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0": (
        "bedrock_converse",
        {"provider_id": "aws"},
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 433,
                "outputTokens": 16,
                "totalTokens": 3201,
                "cacheReadInputTokens": 2652,
                "cacheWriteInputTokens": 100,
                "cacheReadInputTokenCount": 2652,
                "cacheWriteInputTokenCount": 100,
                "serverToolUsage": {},
            },
            "metrics": {"latencyMs": 812},
        },
    ),
    "vertex/gemini-2.5-flash": (
        "gemini",
        {"provider_id": "google"},
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 17713,
                "candidatesTokenCount": 68,
                "thoughtsTokenCount": 821,
                "cachedContentTokenCount": 17379,
                "totalTokenCount": 18602,
            },
            "modelVersion": "gemini-2.5-flash",
        },
    ),
}


@pytest.mark.parametrize("target", BODIES)
def test_usage_of_our_wires_costs_what_theirs_does(target):
    wire, place, body = BODIES[target]
    reader = registry.load("wire", wire).reader(False)
    list(reader.feed(json.dumps(body).encode()))
    usage = reader.close().usage
    extracted = genai_prices.extract_usage(body, **place)
    model = get_snapshot().find_provider_model(Target.parse(target).model, None, place["provider_id"], None)[1]
    expected = extracted.calc_price(model=model, genai_request_timestamp=AT).total_price
    found = pricing.cost(Target.parse(target), usage, at=AT.timestamp()).usd
    assert found == expected.quantize(Decimal("0.000001"), rounding=ROUND_UP)
    assert found > 0
    for ours, key in (
        (usage.input_tokens, "input_tokens"),
        (usage.output_tokens, "output_tokens"),
        (usage.cached_tokens, "cache_read_tokens"),
    ):
        assert ours == extracted.usage.reported_value(key)


def test_cost_by_hand_of_those_bodies():
    """The same bodies, summed by hand from the price per million."""
    by_hand = {
        # 86 × 0.15 + 1920 × 0.075 + 504 × 0.6
        "openai/gpt-4o-mini": "0.000460",
        # 4 × 3 + 8845 × 0.3 + 120 × 3.75 + 77 × 15
        "anthropic/claude-sonnet-4-5": "0.004271",
        # 433 × 1.1 + 2652 × 0.11 + 100 × 1.375 + 16 × 5.5
        "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0": "0.000994",
        # 334 × 0.3 + 17379 × 0.03 + 889 × 2.5
        "vertex/gemini-2.5-flash": "0.002845",
    }
    for target, dollars in by_hand.items():
        wire, _, body = BODIES[target]
        reader = registry.load("wire", wire).reader(False)
        list(reader.feed(json.dumps(body).encode()))
        found = pricing.cost(Target.parse(target), reader.close().usage, at=AT.timestamp())
        assert found.usd == Decimal(dollars), target


def test_counts_without_the_cache_would_be_caught():
    """The control: input as Bedrock reports it, without cache reads and writes, is another sum, or none."""
    target, at = Target.parse("bedrock/anthropic.claude-haiku-4-5-20251001-v1:0"), AT.timestamp()
    raw = Usage(input_tokens=433, cached_tokens=2652, cache_write_tokens=100, output_tokens=16)
    assert pricing.cost(target, raw, at=at).usd is None
    small = Usage(input_tokens=433, cached_tokens=52, cache_write_tokens=100, output_tokens=16)
    whole = Usage(input_tokens=585, cached_tokens=52, cache_write_tokens=100, output_tokens=16)
    assert pricing.cost(target, small, at=at).usd < pricing.cost(target, whole, at=at).usd
