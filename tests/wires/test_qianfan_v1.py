"""Qianfan's first wire: `result`, `is_end`, and errors that are HTTP 200."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.qianfan_v1 import wire

PIECES = ("Grüße", ", ", "世界", " 🙂\n", "zwei")
TEXT = "".join(PIECES)
COUNTED = Usage(input_tokens=7, output_tokens=5)


def said(text, **more):
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return {"id": "as-1", "result": text, "is_truncated": False, "need_clear_history": False, "usage": usage, **more}


def event(text, **more):
    return b"data: " + json.dumps(said(text, **more), ensure_ascii=False).encode() + b"\n\n"


STREAM = [*(event(piece, is_end=False, usage={"prompt_tokens": 7, "completion_tokens": 0}) for piece in PIECES)]
STREAM.append(event("", is_end=True))
READ = (TEXT, "stop", COUNTED, None)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


def test_stream_is_the_same_at_every_split():
    stream = b"".join(STREAM)
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == READ
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == READ


def test_cut_stream_is_not_an_answer():
    for n in range(len(STREAM)):
        with pytest.raises(Truncated):
            read(*STREAM[:n])
    stream = b"".join(STREAM)
    for at in range(len(stream)):
        try:
            assert read(stream[:at]) == READ
        except Truncated:
            continue


def test_the_control_without_an_end_mark_takes_a_part():
    reader = wire.reader(True)
    text = "".join(delta.text for chunk in STREAM[:2] for delta in reader.feed(chunk))
    reader._meaning._last = {}
    assert reader.close().finish_reason == "stop"
    assert text != TEXT


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("more", "finish"),
    [
        ({}, "stop"),
        ({"finish_reason": "normal"}, "stop"),
        ({"is_truncated": True}, "length"),
        ({"finish_reason": "normal", "is_truncated": True}, "length"),
        ({"finish_reason": "function_call"}, "function_call"),
    ],
)
def test_why_it_ended(stream, more, finish):
    body = event("a", is_end=True, **more) if stream else json.dumps(said("a", **more)).encode()
    assert read(body, stream=stream) == ("a", finish, COUNTED, None)


@pytest.mark.parametrize("stream", [True, False])
def test_the_filter_is_billed(stream):
    body = said("", finish_reason="content_filter", is_end=True)
    data = json.dumps(body).encode()
    with pytest.raises(ContentFiltered) as caught:
        read(b"data: " + data + b"\n\n" if stream else data, stream=stream)
    assert caught.value.usage == COUNTED


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_is_http_200(stream):
    error = b'{"error_code":336501,"error_msg":"Rate limit reached for RPM","id":"as-1"}'
    with pytest.raises(Faulted) as caught:
        read(error, stream=stream)
    assert (caught.value.fault.code, caught.value.fault.status) == ("336501", None)
    with pytest.raises(Faulted):
        read(STREAM[0], b"data: " + error + b"\n\n")


def test_unknown_usage():
    assert read(event("a", is_end=True, usage=None))[2] == Usage()


def test_whole_answer_and_its_parts():
    body = json.dumps(said(TEXT), ensure_ascii=False).encode()
    for at in range(len(body)):
        assert read(body[:at], body[at:], stream=False) == READ
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b"7", b"{}", b'{"id":"as-1"}'])
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)
    with pytest.raises(ProviderBug):
        read(STREAM[0], b"data: " + body + b"\n\n")


def test_body():
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="hi"))
    prompt = Prompt(model="m", messages=turns)
    assert wire.body(prompt, Params(max_tokens=9), False) == {
        "messages": [{"role": "user", "content": "hi"}],
        "system": "Be brief.",
        "max_output_tokens": 9,
        "temperature": 0.01,
    }
    full = wire.body(prompt, Params(temperature=0.7, top_p=0.9, stop=("a",), seed=1), True)
    assert (full["temperature"], full["top_p"], full["stop"], full["stream"]) == (0.7, 0.9, ["a"], True)
    assert "seed" not in full


def test_body_without_what_nobody_asked_for():
    prompt = Prompt(model="m", messages=(Message(role="user", content="hi"),))
    assert set(wire.body(prompt, Params(temperature=None), False)) == {"messages", "max_output_tokens"}
