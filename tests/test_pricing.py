"""Costs have a source and a day; what is unknown is unknown, never 0."""

from decimal import Decimal

import pytest

from mlaas_lab.pricing import cost
from mlaas_lab.schema import Cost, Target, Usage

AT = 1_790_000_000.0  # 2026-09-21
SOME = Usage(input_tokens=1000, output_tokens=100)


def test_hosted():
    found = cost(Target.parse("openai/gpt-4o"), SOME, at=AT)
    assert found.usd == Decimal("0.0035")  # 1000 × $2.5 + 100 × $10 per million
    assert found.source.startswith("genai-prices ")
    assert found.date == "2026-09-21"


def test_cached_tokens_are_cheaper():
    cached = Usage(input_tokens=1000, output_tokens=100, cached_tokens=800)
    assert cost(Target.parse("openai/gpt-4o"), cached, at=AT).usd == Decimal("0.0025")


def test_rounded_up_once_to_a_micro_dollar():
    one = cost(Target.parse("openai/gpt-4o-mini"), Usage(input_tokens=1, output_tokens=1), at=AT)
    assert one.usd == Decimal("0.000001")  # 0.15 + 0.6 micro-dollars
    assert one.usd.as_tuple().exponent == -6


def test_by_the_address_of_a_compatible_vendor():
    target = Target.parse("openai/llama-3.3-70b-versatile?base_url=https://api.groq.com/openai/v1")
    assert cost(target, SOME, at=AT).usd > 0


def test_echo_is_free():
    assert cost(Target.parse("echo/any"), SOME, at=AT) == Cost(usd=Decimal(0), source="free", date="2026-09-21")


@pytest.mark.parametrize(
    ("target", "usage"),
    [
        ("tiny", SOME),
        ("openai/gpt-4o?base_url=http://127.0.0.1:8000/v1", SOME),
        ("openai/gpt-4o?base_url=http://localhost/v1", SOME),
        ("openai/gpt-4o?base_url=http://10.1.2.3/v1", SOME),
        ("openai/gpt-4o?base_url=http://gpu.internal/v1", SOME),
        ("openai/gpt-4o?base_url=https://nobody.example/v1", SOME),
        ("openai/no-such-model", SOME),
        ("nobody/gpt-4o", SOME),
        ("openai/gpt-4o", Usage()),
        ("openai/gpt-4o", Usage(input_tokens=5)),
        ("openai/gpt-4o", Usage(input_tokens=5, output_tokens=1, cached_tokens=9)),
    ],
)
def test_unknown_is_not_zero(target, usage):
    assert cost(Target.parse(target), usage, at=AT) == Cost(usd=None)
