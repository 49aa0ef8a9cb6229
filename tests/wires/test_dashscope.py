"""DashScope's wire reads increments and repeated text right, at every split, and never takes a part for the whole."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.dashscope import _Pieces, spoken, wire

PIECES = ("Grüße", ", ", "世界", " 🙂\n", "zwei")
TEXT = "".join(PIECES)


def usage(out):
    details = {"prompt_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 1}}
    return {"input_tokens": 7, "output_tokens": out, "total_tokens": 7 + out, **details}


def event(n, text, finish="null", *, out=None, kind="result", status=200, **more):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = more or {"output": {"choices": [choice]}, "usage": usage(n if out is None else out), "request_id": "r"}
    data = json.dumps(body, ensure_ascii=False)
    return f"id:{n}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{data}\n\n".encode()


def grown(pieces):
    return ["".join(pieces[:n]) for n in range(1, len(pieces) + 1)]


INCREMENTS = [*(event(n, piece) for n, piece in enumerate(PIECES, 1)), event(6, "", "stop", out=5)]
REPEATED = [*(event(n, text) for n, text in enumerate(grown(PIECES), 1)), event(6, TEXT, "stop", out=5)]
READ = (TEXT, "stop", Usage(input_tokens=7, output_tokens=5, cached_tokens=3, reasoning_tokens=1), None)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


@pytest.mark.parametrize("events", [INCREMENTS, REPEATED], ids=["increments", "repeated"])
@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_stream_is_the_same_at_every_split(events, line):
    stream = b"".join(events).replace(b"\n", line)
    assert read(stream) == READ
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == READ
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == READ


@pytest.mark.parametrize("events", [INCREMENTS, REPEATED], ids=["increments", "repeated"])
def test_cut_stream_is_not_an_answer(events):
    for n in range(len(events)):
        with pytest.raises(Truncated):
            read(*events[:n])
    stream = b"".join(events)
    for at in range(len(stream)):
        try:
            assert read(stream[:at]) == READ
        except Truncated:
            continue


def test_the_control_without_an_end_mark_takes_a_part(monkeypatch):
    monkeypatch.setattr("mlaas_lab.wires.dashscope._Told.complete", True)
    part = read(*INCREMENTS[:2])[0]
    assert TEXT.startswith(part)
    assert part != TEXT


def test_repeated_text_streams_before_its_end():
    """It is recognised soon, not held until all is there."""
    words = ["one ", "two ", "three ", "four ", "five "]
    reader = wire.reader(True)
    early = [delta.text for n, text in enumerate(grown(words), 1) for delta in reader.feed(event(n, text))]
    assert "".join(early) == "".join(words)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([("ha", 1), ("ha", 2), ("!", 3), ("", 3)], "haha!"),
        ([("1", 1), ("1", 2), ("", 2)], "11"),
        ([("1", 1), ("10", 2), ("", 2)], "110"),
        ([("A", 1), ("A", 1)], "A"),
        ([("No", 1), ("No", 2), ("Nope", 3), ("Nope, sir", 4), ("Nope, sir.", 5)], "Nope, sir."),
        ([("", 0), ("a", 1), ("", 1)], "a"),
        ([("ha", None), ("ha", None)], "haha"),
    ],
)
def test_what_may_be_either(events, text):
    """Increments were asked for: a short piece that happens to begin like the text is one, unless no token was made."""
    pieces = _Pieces()
    got = "".join([pieces.add(piece, tokens) for piece, tokens in events]) + pieces.rest()
    assert got == text


def test_the_control_without_recognition_says_it_again_and_again():
    pieces = _Pieces()
    pieces._repeats = False
    assert "".join([pieces.add(text, n) for n, text in enumerate(grown(PIECES), 1)]) != TEXT


def test_text_that_is_taken_back_is_the_vendors_bug():
    changed = [event(1, "a long beginning"), event(2, "a long beginning, and"), event(3, "sorry", "stop")]
    with pytest.raises(ProviderBug, match="took back"):
        read(*changed)


def test_the_last_usage_counts_and_none_is_unknown():
    none = [event(1, "", output={"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})]
    assert read(*none) == ("a", "stop", Usage(), None)
    late = [event(1, "a", "stop", out=1), event(2, "", "null", out=9)]
    assert read(*late)[2].output_tokens == 9


def test_an_error_in_an_event_has_the_status_of_its_comment():
    broken = event(2, "", kind="error", status=503, code="Odd", message="busy", request_id="r")
    with pytest.raises(Faulted) as caught:
        read(INCREMENTS[0], broken)
    assert (caught.value.fault.code, caught.value.fault.status, caught.value.fault.message) == ("Odd", 503, "busy")


def test_what_the_filter_let_through_is_billed():
    stopped = event(3, "", kind="error", status=400, code="DataInspectionFailed", message="no", request_id="r")
    with pytest.raises(ContentFiltered) as caught:
        read(*INCREMENTS[:2], stopped)
    assert caught.value.usage.output_tokens == 2
    with pytest.raises(Faulted):  # nothing was made: nothing is known to be billed
        read(stopped)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code":"Arrearage","message":"pay","request_id":"r"}', "Arrearage"),
        (b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"m"}\n', "InvalidParameter"),
        (b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"m"}', "InvalidParameter"),
        (b'{"error":{"message":"m","type":"t","code":"model_not_found"}}', "model_not_found"),
        (b"<html>data:</html>", None),
        (b"", None),
    ],
)
def test_errors_are_plain_or_framed(body, code):
    assert wire.fault(body, {}).code == code


def whole(**more):
    choice = {"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return json.dumps({"output": {"choices": [choice]}, "usage": usage(5), **more}, ensure_ascii=False).encode()


def test_whole_answer():
    body = whole()
    for at in range(0, len(body) + 1, 5):
        assert read(body[:at], body[at:], stream=False) == READ
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)
    parts = {"choices": [{"message": {"content": [{"text": "a"}, {"text": "b"}]}, "finish_reason": "length"}]}
    assert read(whole(output=parts), stream=False)[:2] == ("ab", "length")
    assert read(whole(output={"text": "old", "finish_reason": "stop"}), stream=False)[:2] == ("old", "stop")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b"7", b'{"output": 3}', b'{"output":{"choices":[3]}}'])
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)
    with pytest.raises(ProviderBug):
        read(INCREMENTS[0], b"data:" + body + b"\n\n")


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_may_call_itself_200(stream):
    with pytest.raises(Faulted) as caught:
        read(b'{"code":"Throttling","message":"slow","request_id":"r"}', stream=stream)
    assert caught.value.fault.code == "Throttling"


def test_body():
    prompt = Prompt(model="m", messages=(Message(role="user", content="hi"),))
    assert wire.body(prompt, Params(), False) == {
        "model": "m",
        "input": {"messages": [{"role": "user", "content": "hi"}]},
        "parameters": {"result_format": "message", "max_tokens": 256, "temperature": 0.0},
    }
    full = Params(max_tokens=3, temperature=None, top_p=0.9, seed=0, stop=("a",))
    assert spoken(parts=True).body(prompt, full, True) == {
        "model": "m",
        "input": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        "parameters": {
            "result_format": "message",
            "max_tokens": 3,
            "top_p": 0.9,
            "seed": 0,
            "stop": ["a"],
            "incremental_output": True,
        },
    }


def test_repeated_text_may_end_in_an_empty_event():
    assert read(*REPEATED[:5], event(6, "", "stop", out=5)) == READ
