"""The OpenAI wire reads the same answer however its bytes are split, and never takes a part for the whole."""

import contextlib
import json

import pytest
from wire_splits import reading, same_at_every_split, same_in_three_around_a_character

from mlaas_lab.errors import CallError, ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.openai_chat import wire

TEXT = "Grüße, 世界 🙂\nzwei"


def event(delta, finish=None, **more):
    chunk = {"id": "1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": None},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
STREAM = (
    event({"role": "assistant", "content": ""})
    + b": keep-alive\n\n"
    + b"".join(event({"content": piece}) for piece in ("Grüße, ", "世界", " 🙂\n", "zwei"))
    + event({}, "stop", usage=None)
    + b"data: "
    + json.dumps({"model": "m-1", "choices": [], "usage": USAGE}).encode()
    + b"\n\ndata: [DONE]\n\n"
)
READ = (TEXT, "stop", Usage(input_tokens=7, output_tokens=5, cached_tokens=3, reasoning_tokens=2), "m-1")


read = reading(wire)


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n\n", b"\r\n\r\n"), STREAM.replace(b"data: ", b"data:")])
def test_stream_is_the_same_at_every_split(stream):
    same_at_every_split(read, stream, READ)


def test_every_split_into_three_around_a_character():
    same_in_three_around_a_character(read, STREAM, READ)


def test_cut_stream_is_not_an_answer():
    """At every offset: a whole text or Truncated, and usage only when it was all there."""
    for at in range(len(STREAM)):
        try:
            text, finish, usage, _ = read(STREAM[:at])
        except Truncated:
            continue
        assert (text, finish) == (TEXT, "stop"), at
        assert usage in (Usage(), READ[2])
    with pytest.raises(Truncated):
        read(STREAM[: STREAM.index(b'"stop"')])


def test_a_reader_that_ignores_the_end_mark_would_be_caught(monkeypatch):
    """The control: without the check for an end mark, a part passes for the whole."""
    part = event({"content": "half"})
    with pytest.raises(Truncated):
        read(part)
    monkeypatch.setattr("mlaas_lab.wires.openai_chat._Chunks.complete", True)
    assert read(part)[0] == "half"


@pytest.mark.parametrize("end", [b"", b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\n\ndata: [DONE]\n\nrubbish"])
def test_end_marks(end):
    assert read(event({"content": "a"}), event({}, "length"), end)[:2] == ("a", "length")


def test_done_without_a_finish_reason_is_an_end():
    assert read(event({"content": "a"}), b"data: [DONE]\n\n")[:3] == ("a", None, Usage())


def test_a_character_in_two_escapes():
    halves = [
        b'{"model":"m","choices":[{"delta":{"content":"a\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"\\ude42b"}}]}',
    ]
    lone = [b'{"model":"m","choices":[{"delta":{"content":"a\\ud83d"}}]}', b'{"choices":[{"delta":{"content":"b"}}]}']
    for events, text in ((halves, "a🙂b"), (lone, "a\ufffdb")):
        got = read(*(b"data: " + e + b"\n\n" for e in events), b"data: [DONE]\n\n")[0]
        assert got == text
        got.encode()


def whole(**more):
    answer = {"model": "m-1", "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}], "usage": USAGE}
    return json.dumps({**answer, **more}).encode()


def test_whole_answer_at_every_split():
    body = whole()
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:], stream=False) == READ
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None, "refusal": "no"}, "no"),
        ({"content": None, "tool_calls": []}, ""),
        ({"content": "\ud83d"}, "\ufffd"),
    ],
)
def test_forms_of_content(message, text):
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    assert read(body, stream=False) == (text, "stop", Usage(), None)


@pytest.mark.parametrize(
    "usage", [None, {}, "x", {"prompt_tokens": None, "completion_tokens": -1}, {"prompt_tokens": "7"}]
)
def test_usage_that_is_not_there_is_unknown(usage):
    assert read(whole(usage=usage), stream=False)[2] == Usage()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "message", "code", "status"),
    [
        ({"error": {"message": "slow", "type": "t", "code": "rate"}}, "slow", "rate", None),
        (
            {"error": {"message": "slow", "type": "insufficient_quota", "code": None}},
            "slow",
            "insufficient_quota",
            None,
        ),
        ({"error": {"message": "slow", "code": 429}}, "slow", "429", 429),
        ({"error": "it broke"}, "it broke", None, None),
        ({"error_code": 18, "error_msg": "QPS"}, "QPS", "18", None),
        ({"errors": [{"code": "c", "message": "m"}], "trace": "t"}, "m", "c", None),
        ({"object": "error", "message": "m", "code": 400}, "m", "400", 400),
        ({"detail": "m"}, "m", None, None),
        (
            {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]},
            "field required",
            "missing",
            None,
        ),
        ([{"error": {"message": "m", "code": 503}}], "m", "503", 503),
    ],
)
def test_errors_that_call_themselves_200(error, message, code, status, stream):
    body = json.dumps(error).encode()
    fault = wire.fault(body, {})
    assert (fault.message, fault.code, fault.status) == (message, code, status)
    if isinstance(error, dict):
        with pytest.raises(Faulted) as caught:
            read(body, stream=stream)
        assert caught.value.fault == fault
        with pytest.raises(Faulted):
            read(event({"content": "a"}), b"data: " + body + b"\n\n")


def test_error_with_broken_quotes_in_a_stream():
    with pytest.raises(Faulted, match="it said"):
        read(event({"content": "a"}), b'data: {"error": "it said "no""}\n\n')


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>no</html>",
        b"\x00\xff",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"choices": 3}',
        b'{"choices":[{"message":3}]}',
        b"[" * 99999,
    ],
)
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug) as caught:
        read(body, stream=stream)
    assert len(str(caught.value)) < 400
    if stream:
        with pytest.raises((ProviderBug, Truncated)):
            read(event({"content": "a"}), b"data: " + body.replace(b"message", b"delta") + b"\n\n")


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


def test_the_filter_is_not_an_answer():
    with pytest.raises(ContentFiltered):
        read(event({"content": "a"}), event({}, "content_filter"), b"data: [DONE]\n\n")
    with pytest.raises(Faulted):
        read(event({}, "error"), b"data: [DONE]\n\n")


def test_no_bytes_make_it_fail_otherwise():
    """Flipped bytes end in an answer or a CallError, never in a bug of ours."""
    for at in range(0, len(STREAM), 3):
        broken = STREAM[:at] + bytes([STREAM[at] ^ 0x20]) + STREAM[at + 1 :]
        with contextlib.suppress(CallError, Faulted):
            read(broken)


def test_body():
    prompt = Prompt(model="m", messages=(Message(role="user", content="hi"),))
    assert wire.body(prompt, Params(), False) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 256,
        "temperature": 0.0,
    }
    full = wire.body(prompt, Params(max_tokens=3, temperature=None, top_p=0.9, seed=0, stop=("a",)), True)
    assert full["max_tokens"] == 3
    assert (full["top_p"], full["seed"], full["stop"]) == (0.9, 0, ("a",))
    assert full["stream"] is True
    assert full["stream_options"] == {"include_usage": True}
    assert "temperature" not in full


def test_a_last_event_that_nothing_ended_keeps_its_text():
    last = event({"content": " end"}, "stop").rstrip(b"\n")
    assert read(event({"content": "the"}), last)[:2] == ("the end", "stop")
    for at in range(1, len(last)):
        with pytest.raises(Truncated):
            read(event({"content": "the"}), last[:at])
