"""Text Generation Inference's tokens are read however they are split, and a part is never taken for the whole."""

import json

import pytest

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.tgi import wire

TEXT = "Grüße, 世界 🙂"
DETAILS = {"finish_reason": "eos_token", "generated_tokens": 4, "input_length": 7}


def token(text, *, special=False, whole=None, details=None):
    data = {"token": {"id": 1, "text": text, "special": special}, "generated_text": whole, "details": details}
    return b"data:" + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


EVENTS = [*map(token, ("Grüße", ", 世界", " 🙂")), token("</s>", special=True, whole=TEXT, details=DETAILS)]
STREAM = b"".join(EVENTS)
READ = (TEXT, "eos_token", Usage(input_tokens=7, output_tokens=4))


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage


def test_stream_is_the_same_at_every_split():
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == READ
    for at in range(len(STREAM) + 1):
        assert read(STREAM[:at], STREAM[at:]) == READ


def test_cut_stream_is_not_an_answer():
    for n in range(len(EVENTS)):
        with pytest.raises(Truncated):
            read(b"".join(EVENTS[:n]))
    for at in range(len(STREAM) - 2):
        with pytest.raises(Truncated):
            read(STREAM[:at])


def whole(**details):
    return json.dumps([{"generated_text": TEXT, "details": details or None}]).encode()


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (whole(**DETAILS), READ[2]),
        (whole(finish_reason="eos_token", generated_tokens=4, prefill=[]), Usage(output_tokens=4)),
        (whole(finish_reason="eos_token", prefill=[{"id": 1}, {"id": 2}]), Usage(input_tokens=2)),
        (whole()[1:-1], Usage()),
    ],
)
def test_whole_answer(body, usage):
    text, finish, counted = read(body, stream=False)
    assert (text, counted) == (TEXT, usage)
    assert finish in ("eos_token", None)
    for at in range(1, len(body)):
        assert read(body[:at], body[at:], stream=False) == (text, finish, counted)


def test_errors_have_kinds():
    error = {"error": "Model is overloaded", "error_type": "overloaded"}
    fault = wire.fault(json.dumps(error).encode(), {})
    assert (fault.message, fault.code) == ("Model is overloaded", "overloaded")
    for chunks, stream in (
        ((EVENTS[0], b"data:" + json.dumps(error).encode() + b"\n\n"), True),
        ((json.dumps(error).encode(),), True),
        ((json.dumps(error).encode(),), False),
    ):
        with pytest.raises(Faulted) as caught:
            read(*chunks, stream=stream)
        assert caught.value.fault == fault
    assert "no" in wire.fault(b"<html>no", {}).message


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b"7", b"{}", b'{"generated_text": 3}'])
@pytest.mark.parametrize("stream", [True, False])
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)


def body(params, *messages):
    turns = tuple(Message(role=role, content=content) for role, content in messages)
    return wire.body(Prompt(model="m", messages=turns), params, True)


def test_body():
    assert body(Params(), ("system", "Be brief."), ("user", "hi")) == {
        "inputs": "Be brief.\n\nhi",
        "parameters": {"max_new_tokens": 256, "details": True, "return_full_text": False},
        "stream": True,
    }
    full = body(Params(max_tokens=3, temperature=0.5, top_p=0.9, seed=0, stop=("a",)), ("user", "hi"))["parameters"]
    assert full == {
        "max_new_tokens": 3,
        "details": True,
        "return_full_text": False,
        "do_sample": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 0,
        "stop": ("a",),
    }
    assert "top_p" not in body(Params(top_p=1.0), ("user", "hi"))["parameters"]
