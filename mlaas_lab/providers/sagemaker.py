"""Amazon SageMaker's real-time endpoints: `sagemaker/ENDPOINT?region=eu-central-1`.

The container decides what it understands: OpenAI's chat (vLLM, LMI, TGI's messages), or with `api=tgi` TGI's own body.
"""

from collections.abc import Mapping
from urllib.parse import quote

from mlaas_lab.errors import InvalidRequest, NotFound, Overloaded, RateLimited, TimedOut, Truncated
from mlaas_lab.providers import Api, Parameter, Provider, at, region
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing.sigv4 import REFUSED, sigv4
from mlaas_lab.wires import sagemaker

REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "mx-central-1", "sa-east-1"),
    *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7"),
    *("af-south-1", "il-central-1", "me-central-1", "me-south-1", "us-gov-east-1", "us-gov-west-1"),
    *("cn-north-1", "cn-northwest-1"),
)
CODES = {
    **REFUSED,
    "InternalDependencyException": Overloaded,
    "InternalFailure": Overloaded,
    "InternalServerException": Overloaded,
    "InternalStreamFailure": Overloaded,
    "ModelError": Overloaded,
    "ModelInvocationTimeExceeded": TimedOut,
    "ModelNotReadyException": Overloaded,
    "ModelStreamError": Overloaded,
    "ResourceNotFoundException": NotFound,
    "ServiceUnavailable": Overloaded,
    "ServiceUnavailableException": Overloaded,
    "StreamBroken": Truncated,
    "ThrottlingException": RateLimited,
    "ValidationError": InvalidRequest,
    "ValidationException": InvalidRequest,
}
HEADERS = {"component": "X-Amzn-SageMaker-Inference-Component", "variant": "X-Amzn-SageMaker-Target-Variant"}
"""Parameter → the header that carries it."""
TGI_CODES = {"generation": Overloaded, "incomplete_generation": Overloaded, "overloaded": Overloaded}
"""TGI's own words for errors, besides those that its status says."""


def _url(target: Target, *, stream: bool) -> str:
    place = target.get("region") or ""
    domain = "amazonaws.com.cn" if place.startswith("cn-") else "amazonaws.com"
    verb = "invocations-response-stream" if stream else "invocations"
    path = f"/endpoints/{quote(target.model, safe='')}/{verb}"
    return at(target, f"https://runtime.sagemaker.{place}.{domain}", path)


def _headers(target: Target) -> Mapping[str, str]:
    return {header: value for name, header in HEADERS.items() if (value := target.get(name))}


def _fields(target: Target) -> Mapping[str, JSON]:
    served = target.get("served")
    return {"model": served} if served else {}


SIGNED = sigv4("sagemaker")
CHECKED = "SDK: botocore"

provider = Provider(
    title="Amazon SageMaker",
    wire=sagemaker.wire,
    url=_url,
    sign=SIGNED,
    fields=_fields,
    headers=_headers,
    codes=CODES,
    apis={
        "tgi": Api(
            wire=sagemaker.tgi_wire,
            url=_url,
            sign=SIGNED,
            headers=_headers,
            codes={**CODES, **TGI_CODES},
            checked=f"{CHECKED} for the envelope, documentation for the body",
        )
    },
    parameters=(
        region("AWS_REGION", "AWS_DEFAULT_REGION", example="eu-central-1"),
        Parameter(name="component", about="the inference component", example="support-lora"),
        Parameter(name="variant", about="the production variant", example="AllTraffic"),
        Parameter(name="served", about="the name its container serves it by", example="lora-a", pattern=r"[\w./:@+-]+"),
    ),
    regions=REGIONS,
    # A private endpoint in one's own network; other names under amazonaws.com are anybody's.
    hosts=tuple(f".runtime.sagemaker.{name}.vpce.amazonaws.com" for name in REGIONS),
    checked=f"{CHECKED} for the envelope, documentation for the body",
)
