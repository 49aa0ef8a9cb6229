"""A container's answer comes through SageMaker's parts unchanged, wherever they are cut."""

import json

import pytest

from mlaas_lab.emulators._eventstream import event, message
from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.sagemaker import tgi_wire, wire

TEXT = "Grüße, 世界 🙂"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
READ = (TEXT, "stop", Usage(input_tokens=7, output_tokens=5), "m-1")


def chunk(delta, finish=None, **more):
    data = {"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def chat(finish="stop"):
    pieces = b"".join(chunk({"content": piece}) for piece in ("Grüße, ", "世界", " 🙂"))
    return pieces + chunk({}, finish, usage=USAGE) + b"data: [DONE]\n\n"


WHOLE = json.dumps(
    {"model": "m-1", "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}], "usage": USAGE}
).encode()


def part(data):
    return event("PayloadPart", data, media_type="application/octet-stream")


def read(*chunks, stream=True, spoken=wire):
    reader = spoken.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


@pytest.mark.parametrize("inner", [chat(), WHOLE, b"\n" + WHOLE], ids=["stream", "whole", "whole after a line"])
def test_parts_may_be_cut_anywhere(inner):
    """Also where the container does not stream, and answers in one piece."""
    assert read(*(part(inner[i : i + 1]) for i in range(len(inner)))) == READ
    for at in range(1, len(inner)):
        assert read(part(inner[:at]) + part(b"") + part(inner[at:])) == READ


def test_stream_is_the_same_at_every_split():
    inner = chat()
    stream = part(inner[:40]) + part(inner[40:])
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == READ


@pytest.mark.parametrize("inner", [chat(), WHOLE])
def test_cut_stream_is_not_an_answer(inner):
    parts = [part(inner[i : i + 9]) for i in range(0, len(inner), 9)]
    ended = 0
    for n in range(len(parts)):
        try:
            text, finish, usage, _ = read(*parts[:n])
        except Truncated:
            continue
        ended += 1
        # Only [DONE] was missing: the finish reason is an end too.
        assert (text, finish) == READ[:2]
        assert usage in (Usage(), READ[2])
    assert ended <= 4
    stream = b"".join(parts)
    for at in range(0, len(stream) - len(parts[-1]), 5):
        with pytest.raises(Truncated):
            read(stream[: at - at % len(parts[0]) + 3])


def test_an_answer_without_streaming():
    assert read(WHOLE, stream=False) == READ


def test_tgi_in_parts():
    details = {"finish_reason": "length", "generated_tokens": 1, "input_length": 3}
    data = {"token": {"text": TEXT, "special": False}, "generated_text": TEXT, "details": details}
    inner = b"data:" + json.dumps(data).encode() + b"\n\n"
    answer = (TEXT, "length", Usage(input_tokens=3, output_tokens=1), None)
    for at in range(1, len(inner)):
        assert read(part(inner[:at]), part(inner[at:]), spoken=tgi_wire) == answer
    assert read(part(json.dumps([{"generated_text": TEXT}]).encode()), spoken=tgi_wire)[0] == TEXT
    with pytest.raises(Truncated):
        read(part(inner[:50]), spoken=tgi_wire)


def test_the_containers_filter_is_billed():
    with pytest.raises(ContentFiltered) as caught:
        read(part(chat("content_filter")))
    assert caught.value.usage == READ[2]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("ModelStreamError", {"Message": "it took too long", "ErrorCode": "ModelInvocationTimeExceeded"}, None),
        ("InternalStreamFailure", {"Message": "it broke"}, "InternalStreamFailure"),
    ],
)
def test_errors_after_success(kind, body, code):
    headers = {":exception-type": kind, ":message-type": "exception"}
    with pytest.raises(Faulted) as caught:
        read(part(chat()[:80]), message(headers, json.dumps(body).encode()))
    assert (caught.value.fault.code, caught.value.fault.message) == (code or body["ErrorCode"], body["Message"])


def error(**body):
    return wire.fault(json.dumps(body).encode(), {"x-amzn-errortype": "ModelError"})


def test_the_containers_error_speaks_for_itself():
    inner = json.dumps({"error": {"message": "too long", "type": "BadRequestError", "code": 400}})
    fault = error(Message="from primary", OriginalMessage=inner, OriginalStatusCode=400, ErrorCode="CLIENT_ERROR")
    assert (fault.message, fault.code, fault.status) == ("too long", "400", 400)
    fault = error(Message="from primary", OriginalMessage="oops", OriginalStatusCode=503, ErrorCode="SERVER_ERROR")
    assert (fault.code, fault.status) == ("SERVER_ERROR", 503)
    assert "oops" in fault.message
    fault = error(Message="server error (0)", OriginalMessage="", OriginalStatusCode=0)
    assert (fault.message, fault.code, fault.status) == ("server error (0)", "ModelError", None)
    fault = wire.fault(b'{"message":"no such endpoint"}', {"x-amzn-errortype": "ValidationError"})
    assert (fault.message, fault.code) == ("no such endpoint", "ValidationError")


def test_garbage_is_the_vendors_bug():
    with pytest.raises(ProviderBug, match="not a stream"):
        read(b"<html>no</html>")
    with pytest.raises(ProviderBug):
        read(part(b"<html>no</html>"))
    with pytest.raises(Truncated):
        read(b"")
    with pytest.raises(Truncated):
        read(event("SomethingNew", b"x"))


def test_the_endpoint_is_the_model():
    prompt = Prompt(model="support-lora", messages=(Message(role="user", content="hi"),))
    body = wire.body(prompt, Params(), True)
    assert "model" not in body
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert tgi_wire.body(prompt, Params(), False)["inputs"] == "hi"
