"""Google's emulators refuse what Google refuses, in Google's words."""

import json

import pytest

from mlaas_lab import registry
from mlaas_lab.emulators import Answer, Asked, Refusal, practice_key
from mlaas_lab.emulators._minds import echo

BODY = {"contents": [{"role": "user", "parts": [{"text": "a b"}]}]}
PLACE = "/v1/projects/emulated-project/locations/europe-west4"
GEMINI = "/v1/models/g:generateContent"
VERTEX = f"{PLACE}/publishers/google/models/g:generateContent"
CHAT = f"{PLACE}/endpoints/openapi/chat/completions"
KEYS = {
    "x-goog-api-key": practice_key("GEMINI_API_KEY"),
    "Authorization": f"Bearer {practice_key('GOOGLE_ACCESS_TOKEN')}",
    "Content-Type": "application/json",
}


def ask(name, path, body=BODY, mind=echo, method="POST", **headers):
    """Status and body, as the server would send them."""
    vendor = registry.load("emulator", name).vendor()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = Asked(method=method, url="http://127.0.0.1:1", target=path, headers=headers or KEYS, body=data, at=0.0)
    try:
        reply = vendor.answer(asked, mind)
    except Refusal as refusal:
        reply = vendor.refusal(refusal, asked)
    return reply.status, b"".join(frame.data for frame in reply.frames), reply


def refused(*args, **more):
    status, data, _ = ask(*args, **more)
    said = json.loads(data)
    error = (said[0] if isinstance(said, list) else said)["error"]
    assert error["code"] == status
    return status, error["status"], error["message"], error["details"]


@pytest.mark.parametrize(("name", "path"), [("gemini", GEMINI), ("vertex", VERTEX)])
class TestBoth:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({**BODY, "temperature": 0}, 'Unknown name "temperature": Cannot find field.'),
            ({**BODY, "generationConfig": {"maxTokens": 1}}, "Unknown name \"maxTokens\" at 'generationConfig'"),
            (
                {"contents": [{"role": "user", "parts": [{"text": "a", "x": 1}]}]},
                "Unknown name \"x\" at 'contents[0].parts[0]'",
            ),
            ({"contents": []}, "contents is not specified"),
            ({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}, "valid role: user, model"),
            ({"contents": [{"role": "system", "parts": [{"text": "a"}]}]}, "valid role: user, model"),
            ({"contents": [{"role": "user", "parts": []}]}, "at least one parts field"),
            ({"contents": ["a"]}, "Invalid value"),
            ({**BODY, "generationConfig": {"temperature": 3}}, "temperature value of 3"),
            ({**BODY, "generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens value of 0"),
            ([], "Root element"),
            (b"{", "Unexpected token"),
        ],
    )
    def test_bad_requests(self, name, path, body, words):
        status, kind, message, _ = refused(name, path, body)
        assert (status, kind) == (400, "INVALID_ARGUMENT")
        assert words in message

    def test_names_of_protocol_buffers_are_taken(self, name, path):
        body = {**BODY, "generation_config": {"max_output_tokens": 1}, "system_instruction": {"parts": [{"text": "s"}]}}
        status, data, _ = ask(name, path, body)
        said = json.loads(data)
        assert status == 200
        assert said["candidates"][0]["finishReason"] == "MAX_TOKENS"
        assert said["usageMetadata"]["promptTokenCount"] == 3

    def test_a_stream_without_alt_sse_is_an_array(self, name, path):
        stream = path.replace(":generate", ":streamGenerate")
        _, data, reply = ask(name, stream)
        assert [one["candidates"][0]["content"]["parts"][0]["text"] for one in json.loads(data)] == ["a", " b"]
        assert reply.headers["Content-Type"].startswith("application/json")
        _, data, reply = ask(name, f"{stream}?alt=sse")
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert data.count(b"data: ") == data.count(b"\r\n\r\n") == 2
        assert b"[DONE]" not in data

    def test_thoughts_are_counted_beside_the_candidates(self, name, path):
        def mind(question):
            return Answer(pieces=("a",), input_tokens=7, output_tokens=5, cached_tokens=3, reasoning_tokens=4)

        _, data, _ = ask(name, path, mind=mind)
        said = json.loads(data)
        assert [part.get("thought", False) for part in said["candidates"][0]["content"]["parts"]] == [True, False]
        assert said["usageMetadata"] == {
            "promptTokenCount": 7,
            "candidatesTokenCount": 1,
            "totalTokenCount": 12,
            "cachedContentTokenCount": 3,
            "thoughtsTokenCount": 4,
            "trafficType": "ON_DEMAND",
        }

    def test_unknown_addresses(self, name, path):
        for wrong in (path.replace("/v1/", "/v3/"), path.replace(":generateContent", ":generate"), "/"):
            assert refused(name, wrong)[:2] == (404, "NOT_FOUND")
        assert refused(name, path, method="GET")[:2] == (404, "NOT_FOUND")


def test_a_prompt_that_the_filter_keeps_is_no_error():
    vendor = registry.load("emulator", "gemini").vendor()
    for data, n in ((json.dumps(BODY).encode(), 2), (b"{", 0)):
        asked = Asked(method="POST", url="http://h", target=GEMINI, headers=KEYS, body=data, at=0.0)
        reply = vendor.refusal(Refusal("filtered", "m"), asked)
        assert reply.status == 200
        said = json.loads(reply.frames[0].data)
        assert said["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"
        assert said["usageMetadata"] == {"promptTokenCount": n, "totalTokenCount": n}
        assert (reply.answer.input_tokens, reply.answer.output_tokens) == (n, 0)


@pytest.mark.parametrize("kind", ["service_account", "authorized_user"])
def test_credentials_for_practice(kind):
    status, data, _ = ask("vertex", f"/_practice/{kind}.json", method="GET")
    assert status == 200
    assert json.loads(data)["type"] == kind
    assert refused("vertex", f"/_practice/{kind}.json")[0] == 404


def test_keys_of_the_gemini_api():
    assert refused("gemini", GEMINI, **{"x-goog-api-key": "k"})[:2] == (400, "INVALID_ARGUMENT")
    assert refused("gemini", GEMINI, **{"x-goog-api-key": "k"})[3][0]["reason"] == "API_KEY_INVALID"
    assert refused("gemini", GEMINI, Authorization="Bearer t")[:2] == (403, "PERMISSION_DENIED")
    assert ask("gemini", f"{GEMINI}?key={practice_key('GOOGLE_API_KEY')}", Accept="*/*")[0] == 200


@pytest.mark.parametrize("path", [VERTEX, CHAT])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, (200,)),
        ({"Authorization": "Bearer t"}, (401, "UNAUTHENTICATED")),
        ({"Authorization": "Basic t"}, (401, "UNAUTHENTICATED")),
        ({"x-goog-user-project": "other"}, (403, "PERMISSION_DENIED")),
        ({"Host": "europe-west4-aiplatform.googleapis.com"}, (200,)),
        ({"Host": "aiplatform.googleapis.com"}, (400, "INVALID_ARGUMENT")),
        ({"Host": "us-east1-aiplatform.googleapis.com"}, (400, "INVALID_ARGUMENT")),
    ],
)
def test_who_asks_vertex_where(path, headers, status):
    body = BODY if path is VERTEX else {"model": "google/g", "messages": [{"role": "user", "content": "a b"}]}
    if status == (200,):
        assert ask("vertex", path, body, **{**KEYS, **headers})[0] == 200
    else:
        assert refused("vertex", path, body, **{**KEYS, **headers})[:2] == status


@pytest.mark.parametrize(
    ("location", "host"),
    [("global", "aiplatform.googleapis.com"), ("eu", "aiplatform.eu.rep.googleapis.com")],
)
def test_hosts_that_are_no_regions(location, host):
    path = VERTEX.replace("europe-west4", location)
    assert ask("vertex", path, **{**KEYS, "Host": host})[0] == 200
    assert refused("vertex", VERTEX, **{**KEYS, "Host": host})[0] == 400


def test_places_that_are_not_the_users():
    assert refused("vertex", VERTEX.replace("emulated-project", "other"))[:2] == (403, "PERMISSION_DENIED")
    assert refused("vertex", VERTEX.replace("europe-west4", "moon"))[:2] == (400, "INVALID_ARGUMENT")


def test_vertex_knows_fields_that_the_gemini_api_does_not():
    body = {**BODY, "labels": {"team": "a"}}
    assert ask("vertex", VERTEX, body)[0] == 200
    assert refused("gemini", GEMINI, body)[0] == 400


def test_chat_completions_name_a_publisher():
    messages = [{"role": "user", "content": "a b"}]
    assert ask("vertex", CHAT, {"model": "google/g", "messages": messages})[0] == 200
    assert "publisher/model" in refused("vertex", CHAT, {"model": "g", "messages": messages})[2]
    assert ask("vertex", CHAT.replace("openapi", "123"), {"model": "", "messages": messages})[0] == 200
    assert refused("vertex", CHAT.replace("openapi", "mine"), {"model": "", "messages": messages})[0] == 404
