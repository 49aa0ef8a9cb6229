"""Anthropic's emulator refuses what Anthropic refuses, by version."""

import json

import pytest

from mlaas_lab import registry
from mlaas_lab.emulators import Answer, Asked, Refusal, practice_key
from mlaas_lab.emulators._minds import echo

KEY = practice_key("ANTHROPIC_API_KEY")
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a b"}]}
NEW = {"Authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21", "Content-Type": "application/json"}
OLD = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "Content-Type": "application/json"}


def ask(body=BODY, headers=NEW, path="/v1/messages", mind=echo):
    vendor = registry.load("emulator", "anthropic").vendor()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = Asked(method="POST", url="http://127.0.0.1:1", target=path, headers=headers, body=data, at=0.0)
    try:
        reply = vendor.answer(asked, mind)
    except Refusal as refusal:
        reply = vendor.refusal(refusal, asked)
    return reply.status, b"".join(frame.data for frame in reply.frames)


def refused(*args, **more):
    status, data = ask(*args, **more)
    said = json.loads(data)
    assert said["type"] == "error"
    assert said["request_id"]
    return status, said["error"]["type"], said["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (NEW, 200),
        (OLD, 200),
        ({**OLD, "anthropic-version": "2026-10-21"}, 200),
        # A bearer was for people only then.
        ({**NEW, "anthropic-version": "2023-06-01"}, 401),
        # Of two keys, x-api-key counts.
        ({**NEW, "x-api-key": "wrong"}, 401),
        ({**NEW, "Authorization": "Bearer wrong"}, 401),
        ({**NEW, "Authorization": KEY}, 401),
        ({**NEW, "anthropic-version": "2024-01-01"}, 400),
        ({k: v for k, v in NEW.items() if k != "anthropic-version"}, 400),
    ],
)
def test_keys_and_versions(headers, status):
    assert ask(headers=headers)[0] == status


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_only_the_older_version_has_sampling(name):
    body = {**BODY, name: 1}
    assert refused(body) == (400, "invalid_request_error", f"{name}: Extra inputs are not permitted")
    assert ask(body, OLD)[0] == 200


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
    ],
)
def test_bad_requests(changed, words):
    status, kind, message = refused({**BODY, **changed})
    assert (status, kind) == (400, "invalid_request_error")
    assert words in message


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_required_fields(name):
    assert refused({k: v for k, v in BODY.items() if k != name})[2] == f"{name}: Field required"


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"{", NEW), (b"[]", NEW), (BODY, {**NEW, "Content-Type": "text/plain"}), ({**BODY, "temperature": 2}, OLD)],
)
def test_what_is_no_request(body, headers):
    assert refused(body, headers)[:2] == (400, "invalid_request_error")


def test_content_may_be_blocks():
    blocks = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    said = json.loads(ask({**BODY, "system": blocks, "messages": [{"role": "user", "content": blocks}]})[1])
    assert said["content"][0]["text"] == "a b"
    assert said["usage"]["input_tokens"] == 4


def test_other_addresses():
    assert refused(path="/v1/complete")[:2] == (404, "not_found_error")


def test_input_is_counted_without_what_the_cache_gave():
    def mind(question):
        return Answer(pieces=("a",), input_tokens=7, output_tokens=5, cached_tokens=3, reasoning_tokens=4)

    said = json.loads(ask(mind=mind)[1])
    usage = {"input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 5}
    assert usage.items() <= said["usage"].items()
    assert [block["type"] for block in said["content"]] == ["thinking", "text"]


def test_events_have_names():
    events = ask({**BODY, "stream": True})[1].decode().split("\n\n")
    names = [event.partition("\n")[0].removeprefix("event: ") for event in events if event]
    assert names == [
        *("message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]
