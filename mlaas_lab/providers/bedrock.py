"""Amazon Bedrock: `bedrock/MODEL?region=eu-central-1`, where MODEL is also an inference profile or an ARN.

An API key (AWS_BEARER_TOKEN_BEDROCK) wins over access keys, as in AWS' own tools; `api=sigv4` signs whatever is set.
`api=mantle` is its OpenAI-compatible door.
"""

from urllib.parse import quote

from mlaas_lab.errors import InvalidRequest, NotFound, Overloaded, QuotaExceeded, RateLimited, TimedOut
from mlaas_lab.providers import Api, Provider, at, region
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer, sigv4
from mlaas_lab.wires import bedrock_converse, openai_chat

REGIONS = (
    *("us-east-1", "us-east-2", "us-west-2", "ca-central-1", "sa-east-1", "us-gov-east-1", "us-gov-west-1"),
    *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2"),
)
CODES = {
    **sigv4.REFUSED,
    "InternalServerException": Overloaded,
    "ModelErrorException": Overloaded,
    "ModelNotReadyException": Overloaded,
    "ModelStreamErrorException": Overloaded,
    "ModelTimeoutException": TimedOut,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": QuotaExceeded,
    "ServiceUnavailableException": Overloaded,
    "ThrottlingException": RateLimited,
    "ValidationException": InvalidRequest,
}


def _url(target: Target, *, stream: bool) -> str:
    verb = "converse-stream" if stream else "converse"
    # An ARN has slashes and colons: all of it is one segment.
    path = f"/model/{quote(target.model, safe='')}/{verb}"
    return at(target, f"https://bedrock-runtime.{target.get('region')}.amazonaws.com", path)


def _mantle(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, f"https://bedrock-mantle.{target.get('region')}.api.aws", "/v1/chat/completions")


API_KEY = bearer("AWS_BEARER_TOKEN_BEDROCK")
SIGNED = sigv4.sigv4("bedrock")
CHECKED = "SDK: botocore"

provider = Provider(
    title="Amazon Bedrock",
    semconv="aws.bedrock",
    wire=bedrock_converse.wire,
    url=_url,
    sign=(API_KEY, SIGNED),
    codes=CODES,
    apis={
        "sigv4": Api(wire=bedrock_converse.wire, url=_url, sign=SIGNED, codes=CODES, checked=CHECKED),
        "mantle": Api(wire=openai_chat.wire, url=_mantle, sign=API_KEY, codes=CODES, checked="SDK: openai"),
    },
    parameters=(region("AWS_REGION", "AWS_DEFAULT_REGION", example="eu-central-1"),),
    regions=REGIONS,
    # A private endpoint in one's own network; other names under amazonaws.com are anybody's.
    hosts=tuple(f".bedrock-runtime.{name}.vpce.amazonaws.com" for name in REGIONS),
    checked=CHECKED,
)
