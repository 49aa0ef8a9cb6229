"""Converse's answers mean the same however their bytes are split, and a part is never taken for the whole."""

import json

import pytest
from genai_prices import extract_usage

from mlaas_lab.emulators._eventstream import event, message
from mlaas_lab.errors import CallError, ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.bedrock_converse import wire

TEXT = "Grüße, 世界 🙂\nzwei"
USAGE = {
    "inputTokens": 22,
    "outputTokens": 13,
    "totalTokens": 2527,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 492,
    "cacheReadInputTokenCount": 2000,
    "cacheWriteInputTokenCount": 492,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 492}],
    "serverToolUsage": {},
}
COUNTED = Usage(input_tokens=2514, output_tokens=13, cached_tokens=2000, cache_write_tokens=492)


def frame(kind, **data):
    return event(kind, json.dumps({**data, "p": "abcdefgh"}, ensure_ascii=False).encode())


def delta(index=0, **delta):
    return frame("contentBlockDelta", contentBlockIndex=index, delta=delta)


def ending(stop="end_turn", usage=USAGE, **more):
    return [frame("messageStop", stopReason=stop), frame("metadata", usage=usage, metrics={"latencyMs": 412}, **more)]


FRAMES = [
    frame("messageStart", role="assistant"),
    delta(reasoningContent={"text": "They greet me."}),
    delta(reasoningContent={"signature": "c2lnbg=="}),
    frame("contentBlockStop", contentBlockIndex=0),
    frame("contentBlockStart", contentBlockIndex=1, start={}),
    *(delta(1, text=piece) for piece in ("Grüße, ", "世界", " 🙂\n", "zwei")),
    delta(2, toolUse={"input": "{}"}),
    frame("contentBlockStop", contentBlockIndex=1),
    frame("somethingNew", anything=1),
    *ending(),
]
STREAM = b"".join(FRAMES)
READ = (TEXT, "end_turn", COUNTED, None)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


def whole(content=None, stop="end_turn", usage=USAGE, **more):
    content = [{"text": "Grüße, 世界"}, {"text": " 🙂\nzwei"}] if content is None else content
    output = {"message": {"role": "assistant", "content": content}}
    return json.dumps({"output": output, "stopReason": stop, "usage": usage, "metrics": {}, **more}).encode()


def test_stream_is_the_same_at_every_split():
    assert read(STREAM) == READ
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == READ
    for at in range(len(STREAM) + 1):
        assert read(STREAM[:at], STREAM[at:]) == READ


def test_cut_stream_is_not_an_answer():
    for at in range(len(STREAM)):
        with pytest.raises(Truncated):
            read(STREAM[:at])
    for n in range(len(FRAMES)):
        with pytest.raises(Truncated):
            read(b"".join(FRAMES[:n]))


def test_a_reader_that_takes_the_stop_for_the_end_would_be_caught():
    """The control: `messageStop` without `metadata` has all of the text, and nothing of the bill."""
    reader = wire.reader(True)
    reader.feed(b"".join(FRAMES[:-1]))
    assert not reader.ended
    reader._metadata = {}
    assert reader.close().usage == Usage()


def test_the_end_is_known_when_it_is_read():
    reader = wire.reader(True)
    reader.feed(STREAM)
    assert reader.ended


def test_whole_answer_at_every_split():
    body = whole()
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:], stream=False) == READ
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


def test_reasoning_and_tools_are_no_text():
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"text": "a"},
        {"toolUse": {"toolUseId": "1", "name": "n", "input": {}}},
    ]
    assert read(whole(blocks, "tool_use"), stream=False)[:2] == ("a", "tool_use")


@pytest.mark.parametrize(
    ("usage", "read_as"),
    [
        ({"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}, Usage(input_tokens=7, output_tokens=5)),
        ({"inputTokens": 7, "cacheReadInputTokens": 0}, Usage(input_tokens=7, cached_tokens=0)),
        ({"cacheReadInputTokens": 3}, Usage(cached_tokens=3)),
        ({"inputTokens": "7", "outputTokens": None}, Usage()),
        (None, Usage()),
        ("x", Usage()),
    ],
)
def test_usage_that_is_not_there_is_unknown(usage, read_as):
    assert read(whole(usage=usage), stream=False)[2] == read_as
    assert read(delta(text="a"), *ending(usage=usage))[2] == read_as


def test_usage_is_what_genai_prices_reads():
    """An independent reading of the same body."""
    theirs = extract_usage(json.loads(whole()), provider_id="aws").usage
    assert (theirs.input_tokens, theirs.output_tokens) == (COUNTED.input_tokens, COUNTED.output_tokens)
    assert (theirs.cache_read_tokens, theirs.cache_write_tokens) == (COUNTED.cached_tokens, COUNTED.cache_write_tokens)


def test_the_last_usage_counts():
    first = frame("metadata", usage={"inputTokens": 1})
    assert read(first, *ending())[2] == COUNTED
    assert read(*ending(usage={"inputTokens": 1}), ending()[1])[2] == COUNTED


def test_a_router_says_who_answered():
    trace = {"promptRouter": {"invokedModelId": "arn:aws:bedrock:eu-central-1::foundation-model/m"}}
    assert read(whole(trace=trace), stream=False)[3] == trace["promptRouter"]["invokedModelId"]
    assert read(*ending(trace=trace))[3] == trace["promptRouter"]["invokedModelId"]
    assert read(*ending(trace={"guardrail": {}}))[3] is None


@pytest.mark.parametrize("stop", ["guardrail_intervened", "content_filtered"])
def test_a_filtered_answer_stays_billed(stop):
    for chunks, stream in (([delta(text="a"), *ending(stop)], True), ([whole(stop=stop)], False)):
        with pytest.raises(ContentFiltered) as caught:
            read(*chunks, stream=stream)
        assert (caught.value.usage, caught.value.code) == (COUNTED, stop)


@pytest.mark.parametrize(
    ("kind", "body", "code", "said"),
    [
        ("throttlingException", {"message": "Too many tokens"}, "ThrottlingException", "Too many tokens"),
        (
            "modelStreamErrorException",
            {"message": "it broke", "originalStatusCode": 500, "originalMessage": "out of memory"},
            "ModelStreamErrorException",
            "it broke: out of memory",
        ),
        ("validationException", {"message": "no"}, "ValidationException", "no"),
        ("serviceUnavailableException", {}, "ServiceUnavailableException", "ServiceUnavailableException"),
    ],
)
def test_errors_after_success(kind, body, code, said):
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    with pytest.raises(Faulted) as caught:
        read(delta(text="a"), message(headers, json.dumps(body).encode()))
    assert (caught.value.fault.code, caught.value.fault.message) == (code, said)


@pytest.mark.parametrize(
    ("body", "headers", "code", "said"),
    [
        (b'{"message":"slow"}', {"x-amzn-ErrorType": "ThrottlingException:http://a/b"}, "ThrottlingException", "slow"),
        (b'{"Message":"slow"}', {"X-Amzn-Errortype": "ThrottlingException"}, "ThrottlingException", "slow"),
        (b'{"__type":"com.amazon.coral#ThrottlingException","message":"slow"}', {}, "ThrottlingException", "slow"),
        (b'{"message":null}', {"x-amzn-ErrorType": "AccessDeniedException"}, "AccessDeniedException", "AccessDenied"),
        (b"<html>no", {}, None, "<html>no"),
        (b"", {}, None, "empty"),
        (b"[]", {"x-amzn-ErrorType": "X"}, "X", "X"),
        (b'{"error":{"message":"m","code":"c"}}', {}, "c", "m"),
    ],
)
def test_http_errors(body, headers, code, said):
    fault = wire.fault(body, headers)
    assert fault.code == code
    assert said in fault.message


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b"7", b"null", b"{}", b'{"output": 3}', b"[" * 9999])
def test_garbage_is_the_vendors_bug(body):
    for stream in (True, False):
        with pytest.raises(ProviderBug) as caught:
            read(body, stream=stream)
        assert len(str(caught.value)) < 400
    with pytest.raises(ProviderBug):
        read(event("contentBlockDelta", body))
    with pytest.raises(ProviderBug):
        read(STREAM[:-3] + body[:3].ljust(3))


@pytest.mark.parametrize("stream", [True, False])
def test_nothing_at_all_is_truncated(stream):
    with pytest.raises(Truncated):
        read(b"", stream=stream)


def test_no_bytes_make_it_fail_otherwise():
    """A changed byte of the stream is noticed; one of a whole answer ends in an answer or a CallError."""
    for at in range(0, len(STREAM), 7):
        with pytest.raises((CallError, Faulted)):
            read(STREAM[:at] + bytes([STREAM[at] ^ 0x20]) + STREAM[at + 1 :])


def said(role, content):
    return Message(role=role, content=content)


def test_body():
    messages = (said("system", "Be brief."), said("user", "hi"))
    assert wire.body(Prompt(model="m", messages=messages), Params(), True) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 256, "temperature": 0.0},
    }
    params = Params(max_tokens=3, temperature=None, top_p=0.9, seed=0, stop=("a",))
    body = wire.body(Prompt(model="m", messages=messages[1:]), params, False)
    assert body["inferenceConfig"] == {"maxTokens": 3, "topP": 0.9, "stopSequences": ("a",)}
    assert body["additionalModelRequestFields"] == {"seed": 0}
    assert "system" not in body


def test_turns_alternate():
    turns = (said("user", "a"), said("tool", "b"), said("system", "s"), said("user", "c"), said("assistant", "d"))
    assert wire.body(Prompt(model="m", messages=turns), Params(), False)["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
        {"role": "assistant", "content": [{"text": "d"}]},
    ]
