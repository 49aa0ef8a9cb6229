"""Replicate's emulator keeps predictions between requests, bills each once, and refuses what Replicate refuses."""

import json

import pytest

from mlaas_lab.emulators import Asked, Refusal
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators.replicate import Replicate

KEY = {"Authorization": "Bearer emulated-REPLICATE_API_TOKEN"}
MODEL = "/v1/models/meta/llama/predictions"


def asked(method, path, body=None, **headers):
    sent = {**KEY, "Content-Type": "application/json", **headers}
    data = b"" if body is None else json.dumps(body).encode()
    return Asked(method=method, url="http://127.0.0.1:1", target=path, headers=sent, body=data, at=0.0)


def shown(reply):
    return json.loads(reply.frames[0].data)


def created(vendor, *, path=MODEL, prefer="", **body):
    headers = {"Prefer": prefer} if prefer else {}
    return vendor.answer(asked("POST", path, {"input": {"prompt": "one two"}, **body}, **headers), echo)


def looked(vendor, prediction):
    return vendor.answer(asked("GET", prediction["urls"]["get"].removeprefix("http://127.0.0.1:1")), echo)


@pytest.mark.parametrize("prefer", ["wait", "wait=5"])
def test_what_is_waited_for_is_there(prefer):
    reply = created(Replicate(), prefer=prefer)
    prediction = shown(reply)
    assert (reply.status, prediction["status"], prediction["output"]) == (201, "succeeded", ["one", " two"])
    assert reply.answer.output_tokens == prediction["metrics"]["output_token_count"] == 2
    assert "stream" not in prediction["urls"]


def test_what_is_not_waited_for_is_looked_at_and_billed_once():
    vendor = Replicate(slow=1)
    first = created(vendor)
    replies = [looked(vendor, shown(first)) for _ in range(3)]
    assert [shown(one)["status"] for one in (first, *replies)] == ["starting", "processing", "succeeded", "succeeded"]
    assert [one.answer is not None for one in (first, *replies)] == [False, False, True, False]


def test_one_that_was_cancelled_stays_so():
    vendor = Replicate()
    prediction = shown(created(vendor, stream=True))
    vendor.answer(asked("POST", f"/v1/predictions/{prediction['id']}/cancel"), echo)
    assert shown(looked(vendor, prediction))["status"] == "canceled"
    stream = vendor.answer(asked("GET", f"/v1/files/{prediction['id']}", Accept="text/event-stream"), echo)
    assert b'{"reason": "canceled"}' in b"".join(frame.data for frame in stream.frames)


def test_lines_and_spaces_of_a_token_are_kept():
    vendor = Replicate()
    prediction = shown(created(vendor, stream=True, input={"prompt": "one\n\n  two"}))
    stream = vendor.answer(asked("GET", f"/v1/files/{prediction['id']}", Accept="text/event-stream"), echo)
    assert stream.frames[1].data == b"event: output\nid: 1:0\ndata: \ndata: \ndata:   two\n\n"
    assert stream.frames[-2].data == b"event: done\nid: 2:0\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MODEL, {"input": "text"}),
        (MODEL, {"input": {}}),
        (MODEL, {"messages": []}),
        (MODEL, {"max_tokens": 3}),
        (MODEL, {"input": {"prompt": "a", "messages": []}}),
        (MODEL, {"input": {"prompt": "a", "max_tokens": "3"}}),
        (MODEL, {"input": {"prompt": "a", "max_tokens": True}}),
        (MODEL, {"version": "v"}),
        ("/v1/predictions", {}),
    ],
)
def test_what_replicate_refuses(path, body):
    with pytest.raises(Refusal) as caught:
        created(Replicate(), path=path, **body)
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/predictions", {"version": "v"}), ("/v1/deployments/a/b/predictions", {})]
)
def test_versions_and_deployments(path, body):
    assert shown(created(Replicate(), path=path, **body))["status"] == "starting"


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/v1/predictions/none", "*/*"),
        ("GET", "/v1/files/none", "text/event-stream"),
        ("GET", MODEL, "*/*"),
        ("POST", "/v1/predictions/emulated0", "*/*"),
        ("GET", "/v1/files/emulated0", "text/event-stream"),
    ],
)
def test_what_is_not_there(method, path, accept):
    vendor = Replicate()
    created(vendor)
    with pytest.raises(Refusal) as caught:
        vendor.answer(asked(method, path, Accept=accept), echo)
    assert caught.value.kind == "not_found"


@pytest.mark.parametrize("sent", ["", "Token emulated-REPLICATE_API_TOKEN", "Bearer another"])
def test_every_request_needs_the_key(sent):
    vendor = Replicate()
    prediction = shown(created(vendor, stream=True))
    for path in (f"/v1/predictions/{prediction['id']}", f"/v1/files/{prediction['id']}"):
        with pytest.raises(Refusal) as caught:
            vendor.answer(asked("GET", path, Accept="text/event-stream", Authorization=sent), echo)
        assert caught.value.kind == "auth"
