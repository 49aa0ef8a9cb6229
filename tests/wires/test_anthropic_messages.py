"""Anthropic's wire reads the same answer however its bytes are split, and never takes a part for the whole."""

import contextlib
import json

import pytest
from wire_splits import reading, same_at_every_split, same_in_three_around_a_character

from mlaas_lab.errors import CallError, ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.anthropic_messages import spoken, wire

TEXT = "Grüße, 世界 🙂\nzwei"
PIECES = ("Grüße, ", "世界", " 🙂\n", "zwei")


def event(kind, **more):
    data = json.dumps({"type": kind, **more}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def text(piece, index=0):
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})


def start(**usage):
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-1", "content": [], "usage": usage}
    return event("message_start", message=message)


def last(reason="end_turn", **usage):
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


STOP = event("message_stop")
STREAM = (
    start(input_tokens=4, cache_read_input_tokens=100, cache_creation_input_tokens=20, output_tokens=1)
    + event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""})
    + event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm, 世"})
    + event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"})
    + event("content_block_stop", index=0)
    + event("content_block_start", index=1, content_block={"type": "text", "text": ""})
    + event("ping")
    + b"".join(text(piece, 1) for piece in PIECES)
    + event("content_block_stop", index=1)
    + event("a_kind_that_comes_later", index=1)
    + last(output_tokens=15, output_tokens_details={"thinking_tokens": 9})
    + STOP
)
USAGE = Usage(input_tokens=124, output_tokens=15, cached_tokens=100, cache_write_tokens=20, reasoning_tokens=9)
READ = (TEXT, "end_turn", USAGE, "claude-1")


read = reading(wire)


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n\n", b"\r\n\r\n"), STREAM.replace(b"data: ", b"data:")])
def test_stream_is_the_same_at_every_split(stream):
    same_at_every_split(read, stream, READ)


def test_every_split_into_three_around_a_character():
    same_in_three_around_a_character(read, STREAM, READ)


def test_cut_stream_is_not_an_answer():
    """At every byte but those after the last event's own: the reader of events ends them with the stream."""
    whole = len(STREAM.rstrip())
    for at in range(whole):
        with pytest.raises(Truncated):
            read(STREAM[:at])
    for at in range(whole, len(STREAM) + 1):
        assert read(STREAM[:at]) == READ


def test_a_stop_reason_is_not_the_end_mark():
    """The control: a reader that took it for one would answer here."""
    with pytest.raises(Truncated):
        read(STREAM.removesuffix(STOP))
    reader = wire.reader(True)
    list(reader.feed(STREAM.removesuffix(STOP)))
    reader._meaning.complete = True
    assert reader.close().finish_reason == "end_turn"


def test_it_says_when_it_has_ended():
    reader = wire.reader(True)
    list(reader.feed(STREAM.removesuffix(STOP)))
    assert not reader.ended
    list(reader.feed(STOP + text("what follows is no part of it")))
    assert reader.ended
    assert reader.close().text == ""


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ((start(input_tokens=3, output_tokens=1), last(output_tokens=5)), Usage(input_tokens=3, output_tokens=5)),
        # Said twice, cumulative: the last one counts, and nothing is added.
        (
            (start(input_tokens=3, output_tokens=1), last(output_tokens=5), last(output_tokens=7, input_tokens=3)),
            Usage(input_tokens=3, output_tokens=7),
        ),
        # Null takes nothing away.
        (
            (start(input_tokens=3, cache_read_input_tokens=2), last(output_tokens=5, cache_read_input_tokens=None)),
            Usage(input_tokens=5, output_tokens=5, cached_tokens=2),
        ),
        ((start(), last()), Usage()),
        ((last(),), Usage()),
    ],
)
def test_usage(events, usage):
    assert read(*events, STOP)[2] == usage


def test_a_character_in_two_escapes():
    halves = [b'"a\\ud83d"', b'"\\ude42b"'], [b'"a\\ud83d"', b'"b"'], [b'"a"', b'"\\ud83d"']
    for pieces, whole in zip(halves, ("a🙂b", "a\ufffdb", "a\ufffd"), strict=True):
        events = [
            b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":%s}}\n\n' % piece
            for piece in pieces
        ]
        assert read(*events, STOP)[0] == whole
        assert read(b"".join([*events, STOP]))[0] == whole


def body(**more):
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-1",
        "content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, {"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 4,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "output_tokens": 15,
            "output_tokens_details": {"thinking_tokens": 9},
        },
    }
    return json.dumps({**message, **more}).encode()


def test_whole_answer_at_every_split():
    whole = body()
    for at in range(len(whole) + 1):
        assert read(whole[:at], whole[at:], stream=False) == READ
    for at in range(len(whole)):
        with pytest.raises(Truncated):
            read(whole[:at], stream=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "tool_use", "id": "1", "name": "n", "input": {}}], "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text", "text": "\ud83d"}], "\ufffd"),
    ],
)
def test_forms_of_content(content, said):
    assert read(body(content=content), stream=False)[0] == said


@pytest.mark.parametrize("usage", [None, {}, "x", {"input_tokens": "7", "output_tokens": -1}, {"output_tokens": True}])
def test_usage_that_is_not_there_is_unknown(usage):
    assert read(body(usage=usage), stream=False)[2] == Usage()


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_billed(stream):
    sent = body(stop_reason="refusal") if not stream else STREAM.replace(b"end_turn", b"refusal")
    with pytest.raises(ContentFiltered) as caught:
        read(sent, stream=stream)
    assert caught.value.usage == USAGE
    assert caught.value.code == "refusal"


ERRORS = [
    ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded_error"),
    ({"type": "rate_limit_error", "message": "m", "details": None}, "rate_limit_error"),
    (
        {"type": "rate_limit_error", "message": "m", "details": {"error_code": "enforced_spend_limit_reached"}},
        "enforced_spend_limit_reached",
    ),
    ({"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}, "content_filter"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_errors(error, code):
    said = {"type": "error", "error": error, "request_id": "req_1"}
    fault = wire.fault(json.dumps(said).encode(), {})
    assert (fault.message, fault.code) == (error["message"], code)
    for sent, stream in (
        (json.dumps(said).encode(), False),
        (json.dumps(said).encode(), True),
        (start() + text("a") + event(**{"kind": "error", **{k: v for k, v in said.items() if k != "type"}}), True),
    ):
        with pytest.raises(Faulted) as caught:
            read(sent, stream=stream)
        assert caught.value.fault == fault


def test_an_error_that_is_no_json():
    assert wire.fault(b"<html>502</html>", {}).message == "'<html>502</html>'"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "sent", [b"<html>no</html>", b"\x00\xff", b"[]", b"7", b"null", b"{}", b'{"content": 3}', b"[" * 99999]
)
def test_garbage_is_the_vendors_bug(sent, stream):
    with pytest.raises(ProviderBug) as caught:
        read(sent, stream=stream)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "data", [b"7", b"null", b"<html>", b'{"type":"content_block_delta"}', b'{"type":"message_start","message":3}']
)
def test_garbage_within_a_stream(data):
    with pytest.raises(ProviderBug):
        read(start(), b"data: " + data + b"\n\n")


@pytest.mark.parametrize("stream", [True, False])
def test_nothing_at_all_is_truncated(stream):
    with pytest.raises(Truncated):
        read(b"", stream=stream)


@pytest.mark.parametrize("stream", [True, False])
def test_an_endless_answer_is_stopped(stream):
    reader = wire.reader(stream)
    with pytest.raises(ProviderBug, match="larger"):  # noqa: PT012
        for _ in range(40):
            reader.feed(b"x" * 2**20)


def test_no_bytes_make_it_fail_otherwise():
    for at in range(0, len(STREAM), 3):
        broken = STREAM[:at] + bytes([STREAM[at] ^ 0x20]) + STREAM[at + 1 :]
        with contextlib.suppress(CallError, Faulted):
            read(broken)


ASKED = Prompt(
    model="m",
    messages=(
        Message(role="system", content="s"),
        Message(role="user", content="u"),
        Message(role="assistant", content="a"),
        Message(role="user", content="v"),
    ),
)


def test_body():
    assert wire.body(ASKED, Params(), False) == {
        "model": "m",
        "max_tokens": 256,
        "system": "s",
        "messages": [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "v"},
        ],
    }
    full = wire.body(ASKED, Params(max_tokens=3, stop=("x",)), True)
    assert (full["max_tokens"], full["stop_sequences"], full["stream"]) == (3, ("x",), True)


def test_only_the_older_version_has_a_temperature():
    assert spoken(sampling=True).body(ASKED, Params(), False)["temperature"] == 0.0
    assert "temperature" not in spoken(sampling=True).body(ASKED, Params(temperature=None), False)
    assert "temperature" not in wire.body(ASKED, Params(), False)


def test_what_somebody_asked_for_is_never_left_out():
    """The vendor refuses it by name, which is better than an answer that ignored it."""
    params = Params(temperature=0.7, top_p=0.9, seed=1)
    assert {"temperature", "top_p", "seed"} <= set(wire.body(ASKED, params, False))
