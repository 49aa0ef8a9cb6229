"""Tool calls in an answer: found in the shapes that models write them, and compared with the reference."""

import json

import pytest

from mlaas_lab import registry
from mlaas_lab.evaluation.tool_calls import Call, call_in, same
from mlaas_lab.schema import Message, Sample, ScoreStatus

ASK = (Message(role="user", content="?"),)
WEATHER = Call(name="weather", arguments={"city": "Oslo", "days": 3})
PLAIN = {"name": "weather", "arguments": {"city": "Oslo", "days": 3}}
QUOTED = {"name": "weather", "arguments": json.dumps(PLAIN["arguments"])}


def found(metric, output, reference=None):
    sample = Sample(id="1", messages=ASK, reference=json.dumps(PLAIN) if reference is None else reference)
    return registry.load("metric", metric).score(output, sample)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PLAIN),
        f"I will look it up. {json.dumps(PLAIN)} One moment.",
        f"```json\n{json.dumps(PLAIN, indent=2)}\n```",
        f"<tool_call>\n{json.dumps(PLAIN)}\n</tool_call>",
        json.dumps({"name": "weather", "parameters": PLAIN["arguments"]}),
        json.dumps({"type": "function", "function": QUOTED}),
        json.dumps([{"id": "call_1", "type": "function", "function": QUOTED}]),
        json.dumps({"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": QUOTED}]}),
        json.dumps({"function_call": QUOTED}),
        'Of {braces} and {"other": "objects"} comes ' + json.dumps(PLAIN),
    ],
)
def test_shapes(text):
    assert call_in(text) == WEATHER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weather(city='Oslo')",
        '{"name": "weather", "arguments": {"city": "Oslo"',
        '{"name": 3, "arguments": {}}',
        '{"name": ""}',
        '{"name": "weather", "arguments": "Oslo"}',
        '{"name": "weather", "arguments": [1]}',
        '{"tool_calls": []}',
        "{" * 100_000,
        '{"a":' * 50_000,
    ],
)
def test_what_is_no_call(text):
    assert call_in(text) is None


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        ("1", 1, False),
        ({"a": 1, "b": [1, None]}, {"b": [1, None], "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        (None, None, True),
        (None, False, False),
    ],
)
def test_same_json(a, b, expected):
    assert same(a, b) is expected
    assert same(b, a) is expected


@pytest.mark.parametrize(
    ("output", "call", "arguments"),
    [
        (PLAIN, 1, 1),
        ({"name": "weather", "arguments": {"city": "Oslo", "days": 3.0}}, 1, 1),
        ({"name": "weather", "arguments": {"city": "Bergen", "days": 3}}, 1, 1 / 2),
        ({"name": "weather", "arguments": {"city": "Oslo", "days": 3, "unit": "C"}}, 1, 2 / 3),
        ({"name": "weather", "arguments": {"town": "Oslo", "days": "3"}}, 1, 0),
        ({"name": "weather"}, 1, 0),
        ({"name": "traffic", "arguments": {"city": "Oslo", "days": 3}}, 0, 0),
        ("It will rain.", 0, 0),
    ],
)
def test_scores(output, call, arguments):
    text = output if isinstance(output, str) else json.dumps(output)
    assert found("tool_call", text).value == call
    assert found("tool_arguments", text).value == pytest.approx(arguments)


def test_reasons():
    assert found("tool_call", "It will rain.").reason == "the answer calls nothing"
    assert found("tool_call", '{"name": "traffic"}').reason == "called 'traffic'"
    assert found("tool_arguments", '{"name": "weather", "arguments": {"city": "Rome"}}').reason == "differs: city, days"


def test_no_arguments_on_either_side_agree():
    assert found("tool_arguments", '{"name": "now", "arguments": {}}', '{"name": "now"}').value == 1


@pytest.mark.parametrize("metric", ["tool_call", "tool_arguments"])
@pytest.mark.parametrize("reference", ["sunny", "{}", '{"arguments": {}}', "[]", f"as in {json.dumps(PLAIN)}"])
def test_a_reference_that_is_no_call_scores_nobody(metric, reference):
    given = found(metric, json.dumps(PLAIN), reference)
    assert (given.value, given.status) == (None, ScoreStatus.NOT_APPLICABLE)
    assert "name and arguments" in given.reason
