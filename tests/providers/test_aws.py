"""What is Amazon's own: addresses, which key goes where, and how its errors are called."""

import pytest

from mlaas_lab import errors, registry
from mlaas_lab.errors import AuthFailed, MissingExtra, UsageError
from mlaas_lab.inference import resolve
from mlaas_lab.wires import Fault

ACCESS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
API_KEY = {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key"}
EVERY = {**ACCESS, **API_KEY}
HERE = "?region=eu-central-1"


@pytest.fixture
def route(settings, monkeypatch):
    """The route to a target with nothing but these variables set."""

    def route(target, **variables):
        for name in (*EVERY, "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return resolve(target, settings)

    return route


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (
            f"bedrock/eu.amazon.nova-lite-v1:0{HERE}",
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/eu.amazon.nova-lite-v1%3A0/converse",
        ),
        (
            "bedrock/arn:aws:bedrock:us-east-1:1:inference-profile/a?region=us-east-1",
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa/converse",
        ),
        (f"bedrock/m{HERE}&api=mantle", "https://bedrock-mantle.eu-central-1.api.aws/v1/chat/completions"),
        (f"sagemaker/e{HERE}", "https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/e/invocations"),
        (
            "sagemaker/e?region=cn-north-1&api=tgi",
            "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn/endpoints/e/invocations",
        ),
    ],
)
def test_addresses(route, target, url):
    assert route(target, **EVERY).url == url


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_come_from_the_environment(route, name):
    found = route("bedrock/m", **EVERY, **{name: "eu-north-1"})
    assert (found.region, "eu-north-1" in found.url) == ("eu-north-1", True)
    assert route(f"bedrock/m{HERE}", **EVERY, **{name: "eu-north-1"}).region == "eu-central-1"


def test_without_a_region_it_says_where_to_put_one(route):
    with pytest.raises(UsageError, match=r"\?region=eu-central-1, or set AWS_REGION or AWS_DEFAULT_REGION"):
        route("sagemaker/e", **EVERY)
    with pytest.raises(UsageError, match="is no region"):
        route("bedrock/m?region=evil.example/", **EVERY)


def test_which_key_is_used(route):
    assert route(f"bedrock/m{HERE}", **EVERY).sign.keys == tuple(API_KEY)
    assert route(f"bedrock/m{HERE}", **ACCESS).sign.keys == tuple(ACCESS)
    assert route(f"bedrock/m{HERE}&api=sigv4", **EVERY).sign.keys == tuple(ACCESS)
    with pytest.raises(AuthFailed, match="AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        route(f"bedrock/m{HERE}")
    with pytest.raises(AuthFailed, match="AWS_BEARER_TOKEN_BEDROCK"):
        route(f"bedrock/m{HERE}&api=mantle", **ACCESS)
    with pytest.raises(AuthFailed, match="AWS_ACCESS_KEY_ID"):
        route(f"sagemaker/e{HERE}", **API_KEY)


def test_a_key_goes_to_its_own_hosts_alone(route):
    mine = "https://vpce-0a1b-c2d3.bedrock-runtime.eu-central-1.vpce.amazonaws.com"
    assert route(f"bedrock/m{HERE}&base_url={mine}", **EVERY).sign is not None
    theirs = "https://vpce-0a1b.runtime.sagemaker.eu-central-1.vpce.amazonaws.com"
    assert route(f"sagemaker/e{HERE}&base_url={theirs}", **EVERY).sign is not None
    for host in (
        theirs,
        "https://a1b2.execute-api.eu-central-1.amazonaws.com",
        "https://bucket.s3.amazonaws.com",
        "https://vpce-svc-0a1b.eu-central-1.vpce.amazonaws.com",
        "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example",
        mine.replace("https", "http"),
    ):
        assert route(f"bedrock/m{HERE}&base_url={host}", **EVERY).sign is None


def test_a_missing_library_is_told_before_anything_is_sent(route, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "botocore.auth", None)
    with pytest.raises(MissingExtra, match="botocore"):
        route(f"bedrock/m{HERE}", **ACCESS)
    assert route(f"bedrock/m{HERE}", **API_KEY).sign is not None


@pytest.mark.parametrize(
    ("provider", "code", "status", "kind"),
    [
        ("bedrock", "ThrottlingException", 429, errors.RateLimited),
        ("bedrock", "ModelNotReadyException", 429, errors.Overloaded),
        ("bedrock", "ServiceQuotaExceededException", 400, errors.QuotaExceeded),
        ("bedrock", "AccessDeniedException", 403, errors.AuthFailed),
        ("bedrock", "UnrecognizedClientException", 403, errors.AuthFailed),
        ("bedrock", "InvalidSignatureException", 403, errors.AuthFailed),
        ("bedrock", "ExpiredTokenException", 403, errors.AuthFailed),
        ("bedrock", "ResourceNotFoundException", 404, errors.NotFound),
        ("bedrock", "ValidationException", 400, errors.InvalidRequest),
        ("bedrock", "ModelTimeoutException", 408, errors.TimedOut),
        ("bedrock", "ModelErrorException", 424, errors.Overloaded),
        ("bedrock", "ServiceUnavailableException", 503, errors.Overloaded),
        ("bedrock", "InternalServerException", 500, errors.Overloaded),
        ("bedrock", "ModelStreamErrorException", 200, errors.Overloaded),
        ("bedrock", None, 424, errors.InvalidRequest),
        ("sagemaker", "ModelError", 424, errors.Overloaded),
        ("sagemaker", "ModelNotReadyException", 429, errors.Overloaded),
        ("sagemaker", "ModelInvocationTimeExceeded", 200, errors.TimedOut),
        ("sagemaker", "StreamBroken", 200, errors.Truncated),
        ("sagemaker", "InternalStreamFailure", 200, errors.Overloaded),
        ("sagemaker", "ValidationError", 400, errors.InvalidRequest),
        ("sagemaker", None, 530, errors.Overloaded),
    ],
)
def test_errors_have_kinds(provider, code, status, kind):
    assert registry.load("provider", provider).error(Fault(message="m", code=code), status) is kind
