"""Google's wire reads the same answer however its bytes are split, and never takes a part for the whole."""

import contextlib
import json

import pytest
from wire_splits import reading, same_at_every_split, same_in_three_around_a_character

from mlaas_lab.errors import CallError, ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Fault, Faulted, Params, Prompt
from mlaas_lab.wires.gemini import wire

TEXT = "Grüße, 世界 🙂\nzwei"
EARLY = {"promptTokenCount": 100, "totalTokenCount": 100}
COUNTS = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 80,
    "toolUsePromptTokenCount": 5,
    "candidatesTokenCount": 6,
    "thoughtsTokenCount": 9,
    "totalTokenCount": 120,
    "trafficType": "ON_DEMAND",
}
USAGE = Usage(input_tokens=105, output_tokens=15, cached_tokens=80, reasoning_tokens=9)


def response(*parts, finish=None, usage=EARLY, **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    said = {"candidates": [candidate], "modelVersion": "gemini-1", "responseId": "r", **more}
    return said if usage is None else {**said, "usageMetadata": usage}


def event(data):
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\r\n\r\n"


STREAM = (
    event(response({"text": "Hm, 世", "thought": True}))
    + b"".join(event(response({"text": piece})) for piece in ("Grüße, ", "世界", " 🙂\n"))
    + event(response({"text": "zwei", "thoughtSignature": "c2ln"}, finish="STOP", usage=COUNTS))
)
READ = (TEXT, "STOP", USAGE, "gemini-1")


read = reading(wire)


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\r\n", b"\n"), STREAM.replace(b"data: ", b"data:")])
def test_stream_is_the_same_at_every_split(stream):
    same_at_every_split(read, stream, READ)


def test_every_split_into_three_around_a_character():
    same_in_three_around_a_character(read, STREAM, READ)


def test_cut_stream_is_not_an_answer():
    """The text of the last event is whole once its JSON is, though its blank line never came."""
    whole = len(STREAM.rstrip())
    for at in range(whole):
        with pytest.raises(Truncated):
            read(STREAM[:at])
    for at in range(whole, len(STREAM) + 1):
        assert read(STREAM[:at]) == READ


def test_a_reader_that_ignores_the_end_mark_would_be_caught():
    part = STREAM[: STREAM.rindex(b"data:")]
    with pytest.raises(Truncated):
        read(part)
    reader = wire.reader(True)
    list(reader.feed(part))
    reader._meaning.complete = True
    assert reader.close().finish_reason is None


def test_usage_may_come_after_the_reason_to_end():
    events = event(response({"text": "a"}, finish="STOP")), event({"usageMetadata": COUNTS, "modelVersion": "g"})
    assert read(*events) == ("a", "STOP", USAGE, "g")


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (COUNTS, USAGE),
        ({"promptTokenCount": 8, "candidatesTokenCount": 2}, Usage(input_tokens=8, output_tokens=2)),
        # All of it was thought: a count of 0 is left out.
        (
            {"promptTokenCount": 8, "thoughtsTokenCount": 3, "totalTokenCount": 11},
            Usage(input_tokens=8, output_tokens=3, reasoning_tokens=3),
        ),
        ({"promptTokenCount": 8, "totalTokenCount": 8}, Usage(input_tokens=8, output_tokens=0)),
        ({"promptTokenCount": 8}, Usage(input_tokens=8)),
        ({"promptTokenCount": "8", "candidatesTokenCount": -1, "totalTokenCount": 3}, Usage()),
        ({}, Usage()),
        (None, Usage()),
    ],
)
def test_usage(counts, usage):
    said = response({"text": "a"}, finish="STOP", usage=counts)
    assert read(json.dumps(said).encode(), stream=False)[2] == usage
    assert read(event(said))[2] == usage


def test_usage_that_is_said_twice_is_not_added():
    first, last = response({"text": "a"}, usage=COUNTS), response({"text": "b"}, finish="STOP", usage=COUNTS)
    assert read(event(first), event(last)) == ("ab", "STOP", USAGE, "gemini-1")


def test_whole_answer_at_every_split():
    said = response(
        {"text": "Hm", "thought": True}, {"text": "Grüße, 世界 🙂\n"}, {"text": "zwei"}, finish="STOP", usage=COUNTS
    )
    for body in (json.dumps(said).encode(), json.dumps(said, ensure_ascii=False, indent=2).encode()):
        for at in range(len(body) + 1):
            assert read(body[:at], body[at:], stream=False) == READ
        for at in range(len(body)):
            with pytest.raises(Truncated):
                read(body[:at], stream=False)


@pytest.mark.parametrize("stream", [False, True])
def test_a_whole_without_a_reason_to_end_is_none(stream):
    said = response({"text": "a"})
    with pytest.raises(Truncated):
        read(event(said) if stream else json.dumps(said).encode(), stream=stream)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], ""),
        ([{"functionCall": {"name": "f"}}], ""),
        ([{"text": "a"}, {"inlineData": {}}], "a"),
        ([{"text": "\ud83d"}], "\ufffd"),
    ],
)
def test_forms_of_content(parts, said):
    assert read(json.dumps(response(*parts, finish="STOP")).encode(), stream=False)[0] == said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"])
def test_what_a_filter_withheld_is_billed(reason, stream):
    said = {"candidates": [{"finishReason": reason, "index": 0}], "usageMetadata": COUNTS, "modelVersion": "g"}
    sent = event(response({"text": "a"})) + event(said) if stream else json.dumps(said).encode()
    with pytest.raises(ContentFiltered) as caught:
        read(sent, stream=stream)
    assert caught.value.usage == USAGE
    assert caught.value.code == reason


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_a_filter_withheld_is_billed(stream):
    said = {
        "promptFeedback": {"blockReason": "JAILBREAK"},
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
    }
    with pytest.raises(ContentFiltered) as caught:
        read(event(said) if stream else json.dumps(said).encode(), stream=stream)
    assert caught.value.usage == Usage(input_tokens=8, output_tokens=0)
    assert caught.value.code == "JAILBREAK"


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "OTHER", "LANGUAGE", "MALFORMED_FUNCTION_CALL"])
def test_other_reasons_to_end_are_no_filter(reason):
    assert read(json.dumps(response({"text": "a"}, finish=reason)).encode(), stream=False)[1] == reason


RPC = "type.googleapis.com/google.rpc."
ERRORS = [
    (
        {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"},
        Fault(message="m", code="INVALID_ARGUMENT", status=400),
    ),
    (
        {
            "code": 400,
            "message": "API key not valid.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
        },
        Fault(message="API key not valid.", code="API_KEY_INVALID", status=400),
    ),
    (
        {
            "code": 429,
            "message": "quota",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": "q"}]},
                {"@type": f"{RPC}RetryInfo", "retryDelay": "34.074824224s"},
            ],
        },
        Fault(message="quota", code="RESOURCE_EXHAUSTED", status=429, retry_after_s=34.074824224),
    ),
    (
        {
            "code": 503,
            "message": "m",
            "status": "UNAVAILABLE",
            "details": [None, {"retryDelay": "soon"}, {"retryDelay": 3}],
        },
        Fault(message="m", code="UNAVAILABLE", status=503),
    ),
    ({"code": 7, "message": "m", "status": "X", "details": 3}, Fault(message="m", code="X")),
]


@pytest.mark.parametrize(("error", "fault"), ERRORS)
def test_errors(error, fault):
    sent = json.dumps({"error": error}).encode()
    assert wire.fault(sent, {}) == fault
    assert wire.fault(b"[" + sent + b"]", {}) == fault
    for said, stream in ((sent, False), (sent, True), (event(response({"text": "a"})) + event({"error": error}), True)):
        with pytest.raises(Faulted) as caught:
            read(said, stream=stream)
        assert caught.value.fault == fault


def test_an_error_that_is_null_is_none():
    said = response({"text": "a"}, finish="STOP", error=None)
    assert read(json.dumps(said).encode(), stream=False)[0] == "a"
    assert read(event(said))[0] == "a"


def test_errors_of_other_servers():
    refused = b'{"error": "invalid_grant", "error_description": "Bad Request"}'
    assert wire.fault(refused, {}) == Fault(message="invalid_grant: Bad Request", code="invalid_grant")
    assert wire.fault(b'{"error": {"message": "m", "code": 1}}', {}).message == "m"
    assert wire.fault(b"<html>502</html>", {}).message == "'<html>502</html>'"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "sent",
    [
        b"<html>no</html>",
        b"\x00\xff",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"candidates": 3}',
        b"[" * 99999,
        b'[{"candidates": []}]',
    ],
)
def test_garbage_is_the_vendors_bug(sent, stream):
    with pytest.raises(ProviderBug) as caught:
        read(sent, stream=stream)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("data", [b"7", b"null", b"<html>", b'{"candidates": [3]}', b'{"usageMetadata": 3}'])
def test_garbage_within_a_stream(data):
    with pytest.raises(ProviderBug):
        read(event(response({"text": "a"})), b"data: " + data + b"\r\n\r\n")


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


def test_body():
    messages = (
        Message(role="system", content="s"),
        Message(role="user", content="u"),
        Message(role="assistant", content="a"),
        Message(role="user", content="v"),
    )
    assert wire.body(Prompt(model="m", messages=messages), Params(), True) == {
        "systemInstruction": {"role": "user", "parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "u"}]},
            {"role": "model", "parts": [{"text": "a"}]},
            {"role": "user", "parts": [{"text": "v"}]},
        ],
        "generationConfig": {"maxOutputTokens": 256, "temperature": 0.0},
    }
    params = Params(max_tokens=3, temperature=None, top_p=0.9, seed=0, stop=("x",))
    full = wire.body(Prompt(model="m", messages=messages[1:2]), params, False)
    assert full["generationConfig"] == {"maxOutputTokens": 3, "topP": 0.9, "seed": 0, "stopSequences": ("x",)}
    assert "systemInstruction" not in full
