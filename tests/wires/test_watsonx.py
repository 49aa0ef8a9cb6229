"""watsonx.ai's chat reads the same answer however its bytes are split, and never takes a part for the whole."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.watsonx import wire

TEXT = "Grüße, 世界 🙂\nzwei"
MODEL = "ibm/granite-4-h-small"
USAGE = {"completion_tokens": 5, "prompt_tokens": 7, "total_tokens": 12}


def event(n, data, name="message"):
    return f"id: {n}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chunk(delta=None, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "finish_reason": finish, "delta": delta}]
    return {"id": "chatcmpl-1", "model_id": MODEL, "model": MODEL, "choices": choices, "created": 1, **more}


WARNED = {"warnings": [{"message": "a licence of others", "id": "disclaimer_warning"}]}
EVENTS = [
    event(1, chunk({"role": "assistant", "content": ""}, system=WARNED)),
    *(event(n, chunk({"content": piece})) for n, piece in enumerate(("Grüße, ", "世界", " 🙂\n", "zwei"), 2)),
    event(6, chunk({"content": ""}, "stop")),
    event(7, chunk(usage=USAGE)),
]
STREAM = b"".join(EVENTS)
READ = (TEXT, "stop", Usage(input_tokens=7, output_tokens=5), MODEL)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for one in chunks for delta in reader.feed(one))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n", b"\r\n").replace(b"\\r\\n", b"\\n")])
def test_stream_is_the_same_at_every_split(stream):
    assert read(stream) == READ
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == READ
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == READ


def test_cut_stream_is_not_an_answer():
    """Before the finish reason at every offset; after it the text is whole, and only the counts may be missing."""
    finish = len(b"".join(EVENTS[:6]))
    for at in range(finish - 2):
        with pytest.raises(Truncated):
            read(STREAM[:at])
    for at in (finish, len(STREAM) - 2):
        assert read(STREAM[:at])[:2] == (TEXT, "stop")
    assert read(STREAM[:finish])[2] == Usage()


def test_a_wire_without_its_end_mark_would_take_a_part():
    """The control: a reader that holds any stream for complete."""
    reader = wire.reader(True)
    list(reader.feed(b"".join(EVENTS[:3])))
    reader._meaning._finish = "stop"
    assert reader.close().finish_reason == "stop"
    with pytest.raises(Truncated):
        read(*EVENTS[:3])


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([chunk({"content": "a"}, "stop", usage=USAGE)], Usage(input_tokens=7, output_tokens=5)),
        ([chunk({"content": "a"}, "stop", usage=USAGE), chunk(usage=USAGE)], Usage(input_tokens=7, output_tokens=5)),
        ([chunk({"content": "a"}, "stop")], Usage()),
        ([chunk({"content": "a"}, "stop"), chunk(usage={"prompt_tokens": "7"})], Usage()),
    ],
    ids=["once", "twice", "never", "nonsense"],
)
def test_usage(events, usage):
    assert read(*(event(n, data) for n, data in enumerate(events)))[2] == usage


ERROR = {"errors": [{"code": "rate_limit_reached_requests", "message": "too many"}], "trace": "t", "status_code": 429}


def test_an_error_in_the_midst_of_a_stream():
    with pytest.raises(Faulted) as caught:
        read(*EVENTS[:3], event(4, ERROR, "error"))
    assert (caught.value.fault.code, caught.value.fault.status) == ("rate_limit_reached_requests", 429)
    assert caught.value.fault.message == "too many"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("body", "message", "code", "status"),
    [
        (ERROR, "too many", "rate_limit_reached_requests", 429),
        ({"errors": [{"code": "c"}], "status_code": "no"}, "c", "c", None),
        ({"errorCode": "BXNIM0415E", "errorMessage": "no such key"}, "no such key", "BXNIM0415E", None),
        ({"error": {"message": "m", "code": 503}}, "m", "503", 503),
    ],
)
def test_errors_that_call_themselves_200(body, message, code, status, stream):
    data = json.dumps(body).encode()
    fault = wire.fault(data, {})
    assert (fault.message, fault.code, fault.status) == (message, code, status)
    with pytest.raises(Faulted) as caught:
        read(data, stream=stream)
    assert caught.value.fault == fault


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[1]", b'{"errors": 3}', b'{"errors": [3]}', b"\xff"])
def test_errors_of_no_known_form_are_shown_as_they_are(body):
    assert wire.fault(body, {}).message


def whole(**more):
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return json.dumps({"id": "chatcmpl-1", "model_id": MODEL, "choices": [choice], "usage": USAGE, **more}).encode()


def test_whole_answer_at_every_split():
    body = whole()
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:], stream=False) == READ
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body", [b"<html>no</html>", b"[]", b"7", b"{}", b'{"choices": 3}', b'{"choices":[{"message":3}]}']
)
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)
    if stream:
        with pytest.raises((ProviderBug, Truncated)):
            read(b"data: " + body.replace(b"message", b"delta") + b"\n\n")


def test_endings_that_are_none():
    with pytest.raises(ContentFiltered) as caught:
        read(event(1, chunk({"content": "a"}, "content_filter")), event(2, chunk(usage=USAGE)))
    assert caught.value.usage == READ[2]
    with pytest.raises(Faulted):
        read(event(1, chunk({}, "error")))


def test_body():
    prompt = Prompt(model=MODEL, messages=(Message(role="user", content="hi"),))
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 256, "temperature": 0.0}
    assert wire.body(prompt, Params(), False) == wire.body(prompt, Params(), True) == {"model_id": MODEL, **asked}
    deployed = Prompt(model="deployments/my-own", messages=prompt.messages)
    assert wire.body(deployed, Params(), False) == asked
    full = wire.body(prompt, Params(temperature=None, top_p=0.9, seed=0, stop=("a",)), True)
    assert (full["top_p"], full["seed"], full["stop"]) == (0.9, 0, ("a",))
    assert "temperature" not in full
