"""Baidu Qianfan: version 2 speaks OpenAI's wire; `api=v1` is the older one.

There a token is got for the pair of keys of an application, and stands in the address.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import orjson

from mlaas_lab.errors import (
    AuthFailed,
    CallError,
    ContentFiltered,
    InvalidRequest,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
)
from mlaas_lab.providers import Api, Parameter, Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import Keys, Sign, Token, TokenExchange, TokenRequest, bearer
from mlaas_lab.wires import openai_chat, qianfan_v1

V1_HOST = "https://aip.baidubce.com"
CODES: Mapping[str, type[CallError]] = {
    "rpm_rate_limit_exceeded": RateLimited,
    "tpm_rate_limit_exceeded": RateLimited,
    "system_unsafe": ContentFiltered,
    "user_setting_unsafe": ContentFiltered,
    "functions_unsafe": ContentFiltered,
    "image_url_unsafe": ContentFiltered,
    "invalid_iam_token": AuthFailed,
    "invalid_appid": AuthFailed,
    "no_parameter_permission": AuthFailed,
    "account_overdue": QuotaExceeded,
    "coding_plan_subscription_expired": QuotaExceeded,
    "invalid_model": NotFound,
    "model_offline": NotFound,
    "internal_error": Overloaded,
    "dispatch_internal_error": Overloaded,
}
V1_CODES: Mapping[str, type[CallError]] = {
    "1": Overloaded,
    "2": Overloaded,
    "3": NotFound,
    "4": RateLimited,
    "6": AuthFailed,
    "13": AuthFailed,
    "14": AuthFailed,
    "15": AuthFailed,
    "17": QuotaExceeded,
    "18": RateLimited,
    "19": QuotaExceeded,
    "100": InvalidRequest,
    "110": AuthFailed,
    "111": AuthFailed,
    "336000": Overloaded,
    "336001": InvalidRequest,
    "336002": InvalidRequest,
    "336003": InvalidRequest,
    "336004": AuthFailed,
    "336005": NotFound,
    "336100": Overloaded,
    "336101": InvalidRequest,
    "336104": ContentFiltered,
    "336105": ContentFiltered,
    "336501": RateLimited,
    "336502": RateLimited,
}
"""They come with HTTP 200. Names in the vendor's own SDK, qianfan `consts.APIErrorCode`."""


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, "https://qianfan.baidubce.com", "/v2/chat/completions")


def _v1_url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, V1_HOST, f"/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{quote(target.model, safe='')}")


def _headers(target: Target) -> dict[str, str]:
    appid = target.get("appid")
    return {"appid": appid} if appid else {}


def _asked(target: Target, keys: Keys, at_s: float) -> TokenRequest:
    del target, at_s
    words = {
        "grant_type": "client_credentials",
        "client_id": keys("QIANFAN_AK"),
        "client_secret": keys("QIANFAN_SK"),
    }
    return TokenRequest(url=f"{V1_HOST}/oauth/2.0/token?{urlencode(words)}")


def _read(body: bytes) -> Token:
    data = orjson.loads(body)
    return Token(value=str(data["access_token"]), lasts_s=float(data["expires_in"]))


v1 = Api(
    wire=qianfan_v1.wire,
    url=_v1_url,
    sign=Sign(
        keys=("QIANFAN_AK", "QIANFAN_SK"),
        headers=lambda _request, _keys: {},
        query=lambda request, _keys: urlencode({"access_token": request.token}),
        exchange=TokenExchange(request=_asked, read=_read),
    ),
    codes=V1_CODES,
    checked="SDK: qianfan",
)

provider = Provider(
    title="Baidu Qianfan",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("QIANFAN_API_KEY"),
    headers=_headers,
    codes=CODES,
    apis={"v1": v1},
    parameters=(
        Parameter(name="appid", about="application that is billed", env=("QIANFAN_APPID",), example="app-1a2b3c"),
    ),
    checked="SDK: qianfan",
)
