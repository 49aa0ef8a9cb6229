"""Tencent Cloud: OpenAI's wire at TokenHub, or at `site=hunyuan` and `site=lkeap`.

With signed requests: `api=native`, Hunyuan's own chat, and `api=native-lkeap`, that of the knowledge engine. Hunyuan's
native chat has no field for the most tokens of an answer, so that limit is not sent there.
"""

from collections.abc import Callable, Mapping

from mlaas_lab.errors import (
    AuthFailed,
    CallError,
    ContentFiltered,
    InvalidRequest,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    TimedOut,
)
from mlaas_lab.providers import Address, Api, Parameter, Provider, at, region
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.signing.tc3 import tc3
from mlaas_lab.wires import openai_chat, tencent

SITES = {
    "tokenhub": "https://tokenhub-intl.tencentcloudmaas.com",
    "tokenhub-cn": "https://tokenhub.tencentcloudmaas.com",
    "hunyuan": "https://api.hunyuan.cloud.tencent.com",
    "lkeap": "https://api.lkeap.cloud.tencent.com",
}
CODES: Mapping[str, type[CallError]] = {
    "AuthFailure": AuthFailed,
    "UnauthorizedOperation": AuthFailed,
    "FailedOperation": Overloaded,
    "FailedOperation.EngineRequestTimeout": TimedOut,
    "FailedOperation.EngineServerLimitExceeded": RateLimited,
    "FailedOperation.FreeResourcePackExhausted": QuotaExceeded,
    "FailedOperation.ResourcePackExhausted": QuotaExceeded,
    "FailedOperation.ServiceNotActivated": AuthFailed,
    "FailedOperation.ServiceStop": QuotaExceeded,
    "FailedOperation.ServiceStopArrears": QuotaExceeded,
    "FailedOperation.SetPayModeExceed": QuotaExceeded,
    "FailedOperation.UserUnAuthError": AuthFailed,
    "FailedOperation.UnOpenError": AuthFailed,
    "InternalError": Overloaded,
    "InvalidAction": InvalidRequest,
    "InvalidParameter": InvalidRequest,
    "InvalidParameterValue": InvalidRequest,
    "InvalidParameterValue.Model": NotFound,
    "LimitExceeded": RateLimited,
    "MissingParameter": InvalidRequest,
    "OperationDenied.ImageIllegalDetected": ContentFiltered,
    "OperationDenied.TextIllegalDetected": ContentFiltered,
    "RequestLimitExceeded": RateLimited,
    "ResourceInsufficient": QuotaExceeded,
    "ResourceNotFound": NotFound,
    "ResourceUnavailable": QuotaExceeded,
    "ResourceUnavailable.NotExist": NotFound,
    "ResourcesSoldOut": QuotaExceeded,
    "UnknownParameter": InvalidRequest,
    "UnsupportedOperation": InvalidRequest,
    "UnsupportedRegion": InvalidRequest,
    "ErrorMsg.4001": TimedOut,
}
"""They come with HTTP 200; a family stands for all its members that have no line of their own."""


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, SITES[target.get("site") or "tokenhub"], "/v1/chat/completions")


def _address(service: str) -> Address:
    def url(target: Target, *, stream: bool) -> str:
        del stream
        return at(target, f"https://{service}.tencentcloudapi.com", "/")

    return url


def _action(version: str) -> Callable[[Target], dict[str, str]]:
    def headers(target: Target) -> dict[str, str]:
        where = target.get("region")
        named = {"X-TC-Region": where} if where else {}
        return {"X-TC-Action": "ChatCompletions", "X-TC-Version": version, **named}

    return headers


provider = Provider(
    title="Tencent Cloud",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("TENCENT_API_KEY"),
    codes=CODES,
    apis={
        "native": Api(
            wire=tencent.wire,
            url=_address("hunyuan"),
            sign=tc3("hunyuan"),
            headers=_action("2023-09-01"),
            codes=CODES,
            checked="SDK: tencentcloud-sdk-python-hunyuan; specification: tccli's api.json",
        ),
        "native-lkeap": Api(
            wire=tencent.lkeap,
            url=_address("lkeap"),
            sign=tc3("lkeap"),
            headers=_action("2024-05-22"),
            codes=CODES,
            checked="SDK: tencentcloud-sdk-python-lkeap; specification: tccli's api.json",
        ),
    },
    parameters=(
        Parameter(
            name="site", about="which of its hosts", example="hunyuan", default="tokenhub", pattern="|".join(SITES)
        ),
        region("TENCENTCLOUD_REGION", example="ap-guangzhou", required=False),
    ),
    regions=("ap-guangzhou", "ap-shanghai", "ap-beijing", "ap-singapore"),
    checked="SDK: openai, as the vendor documents",
)
