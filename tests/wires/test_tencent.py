"""Tencent's wire: wrapped whole answers, bare events, two names for the counts, and errors that are HTTP 200."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.tencent import lkeap, wire

PIECES = ("Grüße", ", ", "世界", " 🙂\n", "zwei")
TEXT = "".join(PIECES)
COUNTED = Usage(input_tokens=7, output_tokens=5)


def event(delta, finish="", usage=None, *, space=" ", **more):
    body = {"Choices": [{"Delta": delta, "FinishReason": finish}], "Id": "1", "Usage": usage, **more}
    return f"data:{space}{json.dumps(body, ensure_ascii=False)}\n\n".encode()


def hunyuan(out):
    return {"PromptTokens": 7, "CompletionTokens": out, "TotalTokens": 7 + out}


ZERO = {"InputTokens": 0, "OutputTokens": 0, "TotalTokens": 0}
HUNYUAN = [
    *(event({"Role": "assistant", "Content": piece}, "", hunyuan(n)) for n, piece in enumerate(PIECES, 1)),
    event({"Role": "assistant", "Content": ""}, "stop", hunyuan(5)),
]
LKEAP = [
    event({"Role": "assistant"}, "", ZERO, space="", Model="deepseek-v3"),
    event({"ReasoningContent": "hm"}, "", ZERO, space="", Model="deepseek-v3"),
    *(event({"Content": piece}, "", ZERO, space="", Model="deepseek-v3") for piece in PIECES),
    event({}, "stop", {"InputTokens": 7, "OutputTokens": 5, "TotalTokens": 12}, space="", Model="deepseek-v3"),
    b"data:[DONE]\n\n",
]
STREAMS = [(HUNYUAN, None), (LKEAP, "deepseek-v3")]


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


@pytest.mark.parametrize(("events", "model"), STREAMS, ids=["hunyuan", "lkeap"])
def test_stream_is_the_same_at_every_split(events, model):
    stream = b"".join(events)
    want = (TEXT, "stop", COUNTED, model)
    assert read(stream) == want
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == want
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == want


@pytest.mark.parametrize(("events", "model"), STREAMS, ids=["hunyuan", "lkeap"])
def test_cut_stream_is_not_an_answer(events, model):
    end = next(n for n, data in enumerate(events) if b'"stop"' in data)
    for n in range(end + 1):
        with pytest.raises(Truncated):
            read(*events[:n])
    stream = b"".join(events)
    for at in range(len(stream)):
        try:
            assert read(stream[:at]) == (TEXT, "stop", COUNTED, model)
        except Truncated:
            continue


def test_the_control_without_an_end_mark_takes_a_part(monkeypatch):
    monkeypatch.setattr("mlaas_lab.wires.tencent._Told.complete", True)
    part = read(*HUNYUAN[:2])[0]
    assert TEXT.startswith(part)
    assert part != TEXT


def test_counts_that_stay_zero_are_unknown():
    zeros = [event({"Content": "a"}, "", ZERO), event({}, "stop", ZERO)]
    assert read(*zeros)[2] == Usage()
    assert read(event({"Content": "a"}, "stop"))[2] == Usage()


def test_a_later_zero_does_not_undo_a_count():
    assert read(event({"Content": "a"}, "stop", hunyuan(5)), event({}, "", ZERO))[2] == COUNTED


@pytest.mark.parametrize("finish", ["sensitive", "content_filter"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_filter_is_billed(finish, stream):
    body = event({"Content": "a"}, finish, hunyuan(5)) if stream else whole(finish=finish)
    with pytest.raises(ContentFiltered) as caught:
        read(body, stream=stream)
    assert caught.value.usage == COUNTED


REFUSED = {"Response": {"Error": {"Code": "LimitExceeded", "Message": "slow"}, "RequestId": "r"}}


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_is_http_200(stream):
    with pytest.raises(Faulted) as caught:
        read(json.dumps(REFUSED).encode(), stream=stream)
    assert (caught.value.fault.code, caught.value.fault.message) == ("LimitExceeded", "slow")
    assert wire.fault(json.dumps(REFUSED).encode(), {}).code == "LimitExceeded"
    assert wire.fault(b'{"error":{"message":"m","code":"c"}}', {}).code == "c"
    assert wire.fault(b"<html>", {}).code is None


@pytest.mark.parametrize(("code", "status"), [(4000, 500), (4001, 500)])
def test_an_error_within_a_stream(code, status):
    broken = {"ErrorMsg": {"Msg": "it broke", "Code": code}, "Choices": []}
    with pytest.raises(Faulted) as caught:
        read(HUNYUAN[0], b"data: " + json.dumps(broken).encode() + b"\n\n")
    assert (caught.value.fault.code, caught.value.fault.status) == (f"ErrorMsg.{code}", status)
    with pytest.raises(Faulted):
        read(HUNYUAN[0], b"data: " + json.dumps(REFUSED).encode() + b"\n\n")


def whole(finish="stop", **usage):
    choice = {"Message": {"Role": "assistant", "Content": TEXT}, "FinishReason": finish}
    return json.dumps({"Response": {"Choices": [choice], "Usage": {**hunyuan(5), **usage}}}).encode()


def test_whole_answer():
    body = whole(PromptTokensDetails={"CachedTokens": "3"})
    want = (TEXT, "stop", Usage(input_tokens=7, output_tokens=5, cached_tokens=3), None)
    for at in range(0, len(body) + 1, 5):
        assert read(body[:at], body[at:], stream=False) == want
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b"7", b'{"Response": 3}', b'{"Choices":[3]}', b"{}"])
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)
    with pytest.raises(ProviderBug):
        read(HUNYUAN[0], b"data: " + body + b"\n\n")


def test_body_has_only_what_the_service_knows():
    prompt = Prompt(model="m", messages=(Message(role="user", content="hi"),))
    full = Params(max_tokens=3, temperature=0.0, top_p=0.9, seed=7, stop=("a",))
    turns = {"Model": "m", "Messages": [{"Role": "user", "Content": "hi"}]}
    sampled = {"Temperature": 0.0, "TopP": 0.9, "Seed": 7, "Stop": ["a"]}
    assert wire.body(prompt, full, True) == {**turns, "Stream": True, **sampled}
    assert lkeap.body(prompt, full, False) == {**turns, "Stream": False, "MaxTokens": 3, "Temperature": 0.0}
    assert wire.body(prompt, Params(temperature=None), False) == {**turns, "Stream": False}


def test_an_event_without_a_choice_says_nothing():
    empty = b'data: {"Choices":[],"Usage":null}\n\n'
    assert read(empty, *HUNYUAN, empty) == (TEXT, "stop", COUNTED, None)
