"""Amazon's emulators believe what AWS believes: not a changed body, another place, a wrong clock or a strange key."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import pytest
from emulated import emulated, target
from multidict import CIMultiDict

from mlaas_lab import errors, registry
from mlaas_lab.emulators import Asked, Frame
from mlaas_lab.emulators._eventstream import message
from mlaas_lab.emulators._minds import echo, said
from mlaas_lab.emulators._server import Scene, Server
from mlaas_lab.emulators._sigv4 import Denied, verify
from mlaas_lab.emulators.bedrock import Bedrock
from mlaas_lab.emulators.sagemaker import SageMaker
from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message, Target
from mlaas_lab.signing import Request
from mlaas_lab.signing.sigv4 import sigv4

AT = 1_750_000_000.0
BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
PATH = "/model/a%3A0/converse"


def asked(*, at=AT, service="bedrock", region="eu-central-1", token=True, key="emulated-", path=PATH, **more):
    """A signed request as it arrives at AT."""

    def keys(name):
        if name == "AWS_SESSION_TOKEN" and not token:
            raise errors.AuthFailed("none")
        return f"{key}{name}"

    headers = {"Content-Type": "application/json"}
    place = Target.parse(f"bedrock/a:0?region={region}")
    request = Request(url=f"http://127.0.0.1:80{path}", headers=headers, body=BODY, target=place, at=at)
    headers = CIMultiDict({**headers, "Host": "127.0.0.1", **sigv4(service).headers(request, keys)})
    fields = {"method": "POST", "url": "http://127.0.0.1", "target": path, "headers": headers, "body": BODY, "at": AT}
    return Asked(**{**fields, **more})


def changed(one, name, value):
    headers = CIMultiDict(one.headers)
    headers.pop(name, None)
    if value is not None:
        headers[name] = value
    return replace(one, headers=headers)


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("path", [PATH, "/a/b?b=2&a=1&a=0"])
def test_a_good_signature_is_believed(token, path):
    verify(asked(token=token, path=path), service="bedrock", region="eu-central-1")


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"body": BODY + b" "}, "InvalidSignatureException", "does not match"),
        ({"target": "/model/a%3A1/converse"}, "InvalidSignatureException", "does not match"),
        ({"target": "/model/a:0/converse"}, "InvalidSignatureException", "does not match"),
        ({"method": "PUT"}, "InvalidSignatureException", "does not match"),
        ({"at": AT - 301}, "InvalidSignatureException", "Signature expired"),
        ({"at": AT + 301}, "InvalidSignatureException", "not yet current"),
        ({"region": "us-east-1"}, "InvalidSignatureException", "valid region"),
        ({"service": "sagemaker"}, "InvalidSignatureException", "correct service: 'bedrock'"),
        ({"key": "real-"}, "UnrecognizedClientException", "security token"),
    ],
)
def test_a_bad_one_is_not(wrong, code, message):
    with pytest.raises(Denied, match=message) as caught:
        verify(asked(**wrong), service="bedrock", region="eu-central-1")
    assert caught.value.code == code


@pytest.mark.parametrize("at", [AT - 299, AT + 299])
def test_five_minutes_are_forgiven(at):
    verify(asked(at=at), service="bedrock")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Authorization", None, "MissingAuthenticationTokenException"),
        ("Authorization", "AWS4-HMAC-SHA256 nonsense", "IncompleteSignatureException"),
        ("X-Amz-Date", None, "IncompleteSignatureException"),
        ("X-Amz-Date", "20250615T150641Z", "InvalidSignatureException"),
        ("X-Amz-Security-Token", "stolen", "UnrecognizedClientException"),
        ("X-Amz-Unsigned", "x", "InvalidSignatureException"),
        ("Content-Type", "text/plain", "InvalidSignatureException"),
        ("Host", "elsewhere", "InvalidSignatureException"),
    ],
)
def test_headers_are_covered(name, value, code):
    with pytest.raises(Denied) as caught:
        verify(changed(asked(), name, value), service="bedrock")
    assert caught.value.code == code


def test_without_the_comparison_a_changed_body_would_pass(monkeypatch):
    """The control."""
    monkeypatch.setattr("mlaas_lab.emulators._sigv4.hmac.compare_digest", lambda *_: True)
    verify(asked(body=b"changed"), service="bedrock")


def test_places_that_are_none():
    with pytest.raises(Denied, match="valid region"):
        verify(asked(region="europe-west4"), service="bedrock")


@pytest.fixture
def bedrock():
    with emulated("bedrock") as server:
        yield server


def post(server, path, body, key="emulated-AWS_BEARER_TOKEN_BEDROCK"):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base_url}{path}", data=json.dumps(body).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers.get("x-amzn-ErrorType"), json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("x-amzn-ErrorType"), json.load(error)


HI = {"role": "user", "content": [{"text": "hi"}]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"messages": []},
        {"messages": [HI, HI]},
        {"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]},
        {"messages": [{"role": "system", "content": [{"text": "hi"}]}]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [{"text": " "}]}]},
        {"messages": [HI], "system": "be brief"},
        {"messages": [HI], "model": "m"},
        {"messages": [HI], "inferenceConfig": {"max_tokens": 3}},
        {"messages": [HI], "inferenceConfig": {"maxTokens": 0}},
        {"messages": [HI], "inferenceConfig": {"maxTokens": 1.5}},
        {"messages": [HI], "inferenceConfig": {"temperature": 1.1}},
        {"messages": [HI], "inferenceConfig": {"stopSequences": "x"}},
    ],
)
def test_converse_refuses_what_bedrock_refuses(bedrock, body):
    status, kind, answer = post(bedrock, "/model/m/converse", body)
    assert status == 400
    assert kind.startswith("ValidationException:")
    assert answer["message"]


def test_converse_answers(bedrock):
    status, _, answer = post(bedrock, "/model/m/converse", {"messages": [HI]})
    assert (status, answer["stopReason"]) == (200, "end_turn")
    assert answer["output"]["message"]["content"] == [{"text": "hi"}]
    assert post(bedrock, "/model/m/other", {"messages": [HI]})[0] == 404
    assert post(bedrock, "/model/m/converse", {"messages": [HI]}, key="x")[:2] == (
        403,
        "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/",
    )


def call(settings, target, stream=False, content="hi"):
    async def one():
        async with Client(Limits(timeout_s=10, retries=0)) as client:
            return await client.complete(
                resolve(target, settings), [Message(role="user", content=content)], stream=stream
            )

    return on_loop(one())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["", "api=sigv4"])
@pytest.mark.parametrize(
    "model",
    ["m", "eu.amazon.nova-lite-v1:0", "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2"],
)
def test_any_model_id_reaches_it(bedrock, settings, model, api, stream):
    done = call(settings, target(bedrock, "bedrock", model=model, query=api), stream)
    assert done.text == "hi"
    assert bedrock.ledger[-1].model == model
    assert bedrock.ledger[-1].path.count("/") == 3


def test_what_the_cache_gave_is_input_too(settings):
    def mind(question):
        return replace(said(question, "hi there"), input_tokens=30, cached_tokens=20)

    with emulated("bedrock", mind=mind) as server:
        for stream in (False, True):
            usage = call(settings, target(server, "bedrock"), stream).usage
            assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (30, 20, 2)


@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
def test_a_changed_secret_is_told_without_showing_it(settings, provider, monkeypatch):
    """AWS repeats what should have been signed, and the session token is part of it."""
    token = "canary-session-0123456789"
    names = {"AWS_SECRET_ACCESS_KEY": "canary-secret", "AWS_SESSION_TOKEN": token}
    monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: names.get(name, f"emulated-{name}"))
    monkeypatch.setattr(
        "mlaas_lab.emulators._sigv4.practice_key", lambda n: token if "SESSION" in n else f"emulated-{n}"
    )
    query = "api=sigv4" if provider == "bedrock" else ""
    with emulated(provider) as server, pytest.raises(errors.AuthFailed, match="does not match") as caught:
        call(settings, target(server, provider, query=query))
    assert caught.value.code == "InvalidSignatureException"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("minutes", [-10, 10])
@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
def test_a_clock_that_is_wrong(settings, provider, minutes, monkeypatch):
    wrong = SimpleNamespace(time=lambda: time.time() + 60 * minutes, perf_counter=time.perf_counter)
    for module in ("attempt", "failures"):
        monkeypatch.setattr(f"mlaas_lab.inference.{module}.time", wrong)
    query = "api=sigv4" if provider == "bedrock" else ""
    with emulated(provider) as server, pytest.raises(errors.AuthFailed) as caught:
        call(settings, target(server, provider, query=query))
    assert "\n" not in str(caught.value)
    assert "Signature" in str(caught.value)
    assert f"clock is 10 minutes {'fast' if minutes > 0 else 'slow'}" in str(caught.value)


@pytest.mark.parametrize(("provider", "vendor"), [("bedrock", Bedrock), ("sagemaker", SageMaker)])
def test_an_emulator_of_one_region(settings, provider, vendor):
    one = replace(registry.load("emulator", provider), vendor=lambda: vendor(region="us-east-1"))
    query = "api=sigv4" if provider == "bedrock" else ""
    with Server(one, mind=echo) as server:
        with pytest.raises(errors.AuthFailed, match="valid region"):
            call(settings, target(server, provider, query=query))
        assert call(settings, target(server, provider, query=f"{query}&region=us-east-1".lstrip("&"))).text == "hi"


class Breaking(Bedrock):
    """Breaks off in the middle, in the stream's own words."""

    def answer(self, asked, mind):
        reply = super().answer(asked, mind)
        headers = {":message-type": "exception", ":exception-type": "throttlingException"}
        broken = Frame(data=message(headers, b'{"message":"Too many tokens, please wait."}'), tokens=1)
        return replace(reply, frames=[*reply.frames[:3], broken])


def test_an_error_in_the_middle_has_its_name(settings):
    """It may be tried again, but not once somebody has seen text."""
    pieces = []

    async def one(route, **more):
        async with Client(Limits(timeout_s=10, retries=1)) as client:
            return await client.complete(route, [Message(role="user", content="a b c")], stream=True, **more)

    breaking = replace(registry.load("emulator", "bedrock"), vendor=Breaking)
    with Server(breaking, mind=echo, scene=Scene(tokens_per_s=10)) as server:
        route = resolve(target(server, "bedrock"), settings)
        for words, asked in (({}, 2), ({"on_delta": pieces.append}, 1)):
            server.asked.clear()
            with pytest.raises(errors.RateLimited, match="Too many tokens") as caught:
                on_loop(one(route, **words))
            assert caught.value.code == "ThrottlingException"
            assert len(server.asked) == asked
    assert "".join(pieces).startswith("a")


class TestSageMaker:
    def test_component_and_variant_are_headers(self, settings):
        with emulated("sagemaker") as server:
            call(settings, target(server, "sagemaker", query="component=lora-a&variant=blue&served=x/y"))
            sent = server.asked[-1]
        assert sent.headers["X-Amzn-SageMaker-Inference-Component"] == "lora-a"
        assert sent.headers["X-Amzn-SageMaker-Target-Variant"] == "blue"
        assert json.loads(sent.body)["model"] == "x/y"
        assert sent.path == "/endpoints/support-lora/invocations"

    @pytest.mark.parametrize("stream", [False, True])
    def test_what_the_container_refuses(self, settings, stream):
        with emulated("sagemaker") as server:
            for query, told in (("temperature=-1", "temperature"), ("top_p=0", "top_p")):
                where = target(server, "sagemaker", query=f"api=tgi&{query}")
                with pytest.raises(errors.InvalidRequest, match=f"{told}.*must be") as caught:
                    call(settings, where, stream)
                assert caught.value.code == "validation"

    def test_a_name_that_is_none(self, settings):
        with emulated("sagemaker") as server, pytest.raises(errors.NotFound):
            call(settings, target(server, "sagemaker", model="a_b"))
