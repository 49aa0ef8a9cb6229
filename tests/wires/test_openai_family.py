"""What Azure OpenAI and OpenRouter add to the chat completions: read the same at every split, and never taken for text."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, Truncated
from mlaas_lab.schema import Usage
from mlaas_lab.wires import Faulted
from mlaas_lab.wires.openai_chat import wire

TEXT = "Grüße an die 世界 🙂"
SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
USAGE = Usage(input_tokens=9, output_tokens=5, cached_tokens=4, cache_write_tokens=1, reasoning_tokens=2)


def event(data):
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None, **more.pop("choice", {})}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice], **more}


AZURE = [
    {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
    },
    chunk({"role": "assistant", "content": "", "refusal": None}, choice={"content_filter_results": {}}),
    chunk({"content": "Grüße an "}, choice={"content_filter_results": SAFE}),
    chunk({"content": "die 世界 🙂"}, choice={"content_filter_results": SAFE}, usage=None),
    chunk({}, "stop", choice={"content_filter_results": {}}),
    {"choices": [], "model": "m-1", "usage": COUNTS},
]
AZURE_STREAM = b"".join(map(event, AZURE)) + b"data: [DONE]\n\n"
OPENROUTER_STREAM = (
    b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
    + event(chunk({"role": "assistant", "content": ""}, provider="Some"))
    + event(chunk({"content": "Grüße an "}))
    + b": OPENROUTER PROCESSING\n\n"
    + event(chunk({"content": "die 世界 🙂"}))
    + event(chunk({"content": ""}, "stop", choice={"native_finish_reason": "end_turn"}))
    + event(chunk({"content": ""}, usage={**COUNTS, "cost": 1e-5, "is_byok": False}))
    + b"data: [DONE]\n\n"
)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


@pytest.mark.parametrize("stream", [AZURE_STREAM, OPENROUTER_STREAM], ids=["azure", "openrouter"])
def test_the_same_at_every_split_and_no_part_for_the_whole(stream):
    whole = (TEXT, "stop", USAGE, "m-1")
    assert read(stream) == whole
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    for at in range(len(stream)):
        assert read(stream[:at], stream[at:]) == whole
    for at in [n + 2 for n in range(len(stream)) if stream[n : n + 2] == b"\n\n"]:
        try:
            text, finish, usage, _ = read(stream[:at])
        except Truncated:
            continue
        assert (text, finish) == (TEXT, "stop")
        assert usage in (Usage(), USAGE)


def test_an_answer_that_azures_filter_ends_stays_billed():
    end = event(chunk({}, "content_filter", choice={"content_filter_results": SAFE}))
    counted = event({"choices": [], "model": "m-1", "usage": COUNTS})
    with pytest.raises(ContentFiltered) as caught:
        read(*map(event, AZURE[:3]), end, counted, b"data: [DONE]\n\n")
    assert caught.value.usage == USAGE
    whole = {
        "model": "m-1",
        "choices": [{"index": 0, "finish_reason": "content_filter", "message": {"role": "assistant"}}],
        "prompt_filter_results": [],
        "usage": COUNTS,
    }
    with pytest.raises(ContentFiltered) as caught:
        read(json.dumps(whole).encode(), stream=False)
    assert caught.value.usage == USAGE


def test_an_error_in_the_midst_of_openrouters_stream():
    error = {"code": "server_error", "message": "Provider disconnected unexpectedly"}
    broken = chunk({"content": ""}, "error", error=error, provider="Some")
    begin = OPENROUTER_STREAM[: OPENROUTER_STREAM.index("世".encode())]
    begin = begin[: begin.rindex(b"\n\n") + 2]
    for at in range(0, len(begin), 7):
        with pytest.raises(Faulted, match="disconnected") as caught:
            read(begin[:at], begin[at:], event(broken), b"data: [DONE]\n\n")
        assert caught.value.fault.code == "server_error"


FILTERED = {**SAFE, "violence": {"filtered": True, "severity": "medium"}, "jailbreak": {"filtered": True}}


@pytest.mark.parametrize(
    ("error", "message", "code", "status"),
    [
        (
            {
                "message": "The response was filtered.",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERED},
            },
            "The response was filtered. (violence medium, jailbreak detected)",
            "content_filter",
            None,
        ),
        (
            {"message": "flagged", "code": 403, "metadata": {"reasons": ["violence", "hate"], "flagged_input": "x"}},
            "flagged (violence, hate)",
            "content_filter",
            403,
        ),
        ({"message": "Key limit exceeded", "code": 403}, "Key limit exceeded", "403", 403),
        (
            {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": "P", "raw": "no GPU"}},
            "Provider returned error P: no GPU",
            "502",
            502,
        ),
        ({"message": "m", "code": 400, "metadata": None, "innererror": {}}, "m", "400", 400),
        ({"message": "m", "code": 400, "metadata": {"raw": {"a": 1}}}, "m", "400", 400),
    ],
)
def test_what_lies_behind_an_error_is_said(error, message, code, status):
    fault = wire.fault(json.dumps({"error": error}).encode(), {})
    assert (fault.message, fault.code, fault.status) == (message, code, status)
