"""Our signatures are botocore's own, byte by byte, and are made for the moment that a request leaves."""

import calendar
from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.session import Session

from mlaas_lab import registry
from mlaas_lab.errors import AuthFailed, InvalidRequest
from mlaas_lab.schema import Target
from mlaas_lab.signing import Request
from mlaas_lab.signing.sigv4 import sigv4

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
LENT = {**KEYS, "AWS_SESSION_TOKEN": "lent/token+=="}
AT = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
MODELS = (
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3",
    "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/my-model~1",
)


class Stop(Exception):
    """The request is complete: nothing is sent."""


@pytest.fixture
def theirs(monkeypatch):
    """What botocore's own client would send."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: AT.replace(tzinfo=None))

    def sent(service, call, keys, **words):
        session = Session()
        client = session.create_client(
            service,
            region_name="eu-central-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        )
        caught = []

        def stop(request, **_):
            caught.append(request)
            raise Stop

        client.meta.events.register_last("before-send", stop)
        with pytest.raises(Stop):
            getattr(client, call)(**words)
        return caught[0]

    return sent


def reader(keys):
    def read(name):
        if name not in keys:
            raise AuthFailed(f"{name} is not set.")
        return keys[name]

    return read


def ours(service, request, keys):
    """Our signature of botocore's request; what it adds to the headers after it has signed them is left out."""
    headers = {name: _text(value) for name, value in request.headers.items()}
    names = _text(request.headers["Authorization"]).partition("SignedHeaders=")[2].partition(",")[0].split(";")
    kept = {name: value for name, value in headers.items() if name.lower() in names}
    kept = {name: value for name, value in kept.items() if not name.lower().startswith("x-amz-")}
    target = Target.parse("any/m?region=eu-central-1")
    asked = Request(
        url=request.url, headers=kept, body=request.body, target=target, at=calendar.timegm(AT.timetuple()) + 0.9
    )
    return sigv4(service).headers(asked, reader(keys))


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("keys", [KEYS, LENT], ids=["own keys", "lent keys"])
@pytest.mark.parametrize("call", ["converse", "converse_stream"])
@pytest.mark.parametrize("model", MODELS)
def test_bedrock_is_signed_as_botocore_signs_it(theirs, model, call, keys):
    request = theirs(
        "bedrock-runtime", call, keys, modelId=model, messages=[{"role": "user", "content": [{"text": "Grüße"}]}]
    )
    target = Target.parse(f"bedrock/{model}?region=eu-central-1")
    assert registry.load("provider", "bedrock").address(target, stream=call.endswith("stream")) == request.url
    for name, value in ours("bedrock", request, keys).items():
        assert _text(request.headers[name]) == value


@pytest.mark.parametrize("keys", [KEYS, LENT], ids=["own keys", "lent keys"])
@pytest.mark.parametrize("call", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_sagemaker_is_signed_as_botocore_signs_it(theirs, call, keys):
    request = theirs(
        "sagemaker-runtime",
        call,
        keys,
        EndpointName="support-lora",
        Body=b'{"a": 1}',
        ContentType="application/json",
        InferenceComponentName="b  c",
    )
    target = Target.parse("sagemaker/support-lora?region=eu-central-1")
    assert registry.load("provider", "sagemaker").address(target, stream=call.endswith("stream")) == request.url
    for name, value in ours("sagemaker", request, keys).items():
        assert _text(request.headers[name]) == value


def signed(**more):
    target = more.pop("target", Target.parse("bedrock/m?region=us-east-1"))
    words = {"url": "https://h/model/a%3A0/converse", "headers": {"Content-Type": "application/json"}, "body": b"{}"}
    return sigv4("bedrock").headers(Request(**{**words, **more}, target=target, at=1_750_000_000.0), reader(KEYS))


def test_a_signature_that_never_changes():
    assert signed() == {
        "X-Amz-Date": "20250615T150640Z",
        "Authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250615/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, Signature=dba1caa02cef0e6f93482ef082bff748ff1f2cc4551154438afbf90042d2b713"
        ),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{ }"},
        {"url": "https://h/model/a%253A0/converse"},
        {"url": "https://g/model/a%3A0/converse"},
        {"method": "GET"},
        {"headers": {"Content-Type": "text/plain"}},
        {"target": Target.parse("bedrock/m?region=us-east-2")},
    ],
)
def test_everything_is_covered(change):
    assert signed(**change)["Authorization"] != signed()["Authorization"]


def test_what_a_proxy_may_change_is_not_covered():
    more = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "x"}
    assert signed(headers=more) == signed()


def test_no_region_and_no_key():
    with pytest.raises(InvalidRequest, match="region"):
        signed(target=Target.parse("bedrock/m"))
    request = Request(url="https://h/", headers={}, body=b"", target=Target.parse("bedrock/m?region=us-east-1"))
    with pytest.raises(AuthFailed, match="AWS_ACCESS_KEY_ID"):
        sigv4("bedrock").headers(request, reader({}))


def test_nothing_is_logged(caplog):
    """botocore's own way writes the session token to the log, at its most talkative."""
    caplog.set_level(0)
    signed()
    assert caplog.text == ""
