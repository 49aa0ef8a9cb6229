"""Alibaba's Model Studio (DashScope): OpenAI's wire first; `api=native` its own, `api=native-multimodal` its newer one.

A key belongs to one region. Beijing, Singapore and Virginia have hosts for everybody; a workspace has its own host in
every region, and the other regions have no other: `?region=eu-central-1&workspace=llm-…`.
"""

from collections.abc import Mapping

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
    UsageError,
)
from mlaas_lab.providers import Address, Api, Parameter, Provider, at, region
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import dashscope, openai_chat

BEIJING = "cn-beijing"
HOSTS = {
    BEIJING: "https://dashscope.aliyuncs.com",
    "ap-southeast-1": "https://dashscope-intl.aliyuncs.com",
    "us-east-1": "https://dashscope-us.aliyuncs.com",
}
"""Regions with a host that takes requests of every workspace."""
REGIONS = (*HOSTS, "cn-hongkong", "eu-central-1", "ap-northeast-1")
LABEL = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
"""One label of a host's name, without a dot: nothing that could lead elsewhere."""
CODES: Mapping[str, type[CallError]] = {
    "DataInspectionFailed": ContentFiltered,
    "data_inspection_failed": ContentFiltered,
    "InvalidApiKey": AuthFailed,
    "AccessDenied": AuthFailed,
    "Model.AccessDenied": AuthFailed,
    "Arrearage": QuotaExceeded,
    "AllocationQuota.FreeTierOnly": QuotaExceeded,
    "CommodityNotPurchased": QuotaExceeded,
    "PrepaidBillOverdue": QuotaExceeded,
    "PostpaidBillOverdue": QuotaExceeded,
    "Throttling": RateLimited,
    "LimitRequests": RateLimited,
    "limit_requests": RateLimited,
    "limit_burst_rate": RateLimited,
    # Elsewhere the account's money; here the tokens of this minute, with HTTP 429.
    "insufficient_quota": RateLimited,
    "ModelNotFound": NotFound,
    "model_not_supported": NotFound,
    "RequestTimeOut": TimedOut,
    "InvalidParameter": InvalidRequest,
    "invalid_parameter_error": InvalidRequest,
    "BadRequest": InvalidRequest,
    "InvalidURL": InvalidRequest,
    "InternalError": Overloaded,
    "SystemError": Overloaded,
    "ModelUnavailable": Overloaded,
    "ModelServingError": Overloaded,
}


def _host(target: Target) -> str:
    where, workspace = target.get("region") or BEIJING, target.get("workspace")
    if workspace:
        return f"https://{workspace}.{where}.maas.aliyuncs.com"
    if where not in HOSTS and target.get("base_url") is None:
        raise UsageError(
            f"target {str(target)!r}: {where} is asked through a workspace.",
            next="Write ?workspace=llm-…, or set DASHSCOPE_WORKSPACE_ID.",
        )
    return HOSTS.get(where, HOSTS[BEIJING])


def _address(path: str) -> Address:
    def url(target: Target, *, stream: bool) -> str:
        del stream
        return at(target, _host(target), path)

    return url


def _thinking(target: Target) -> dict[str, JSON]:
    thinking = target.get("thinking")
    return {} if thinking is None else {"enable_thinking": thinking == "yes"}


def _native(task: str, *, parts: bool = False) -> Api:
    return Api(
        wire=dashscope.spoken(parts=parts),
        url=_address(f"/api/v1/services/aigc/{task}/generation"),
        sign=bearer("DASHSCOPE_API_KEY"),
        fields=lambda target: {"parameters": thought} if (thought := _thinking(target)) else {},
        stream_headers={"X-DashScope-SSE": "enable"},
        codes=CODES,
        checked="SDK: dashscope",
    )


provider = Provider(
    title="Alibaba Model Studio (DashScope)",
    wire=openai_chat.wire,
    url=_address("/compatible-mode/v1/chat/completions"),
    sign=bearer("DASHSCOPE_API_KEY"),
    fields=_thinking,
    codes=CODES,
    apis={
        "native": _native("text-generation"),
        "native-multimodal": _native("multimodal-generation", parts=True),
    },
    parameters=(
        region("DASHSCOPE_API_REGION", default=BEIJING, example="ap-southeast-1"),
        Parameter(
            name="workspace",
            about="whose own host is asked",
            env=("DASHSCOPE_WORKSPACE_ID",),
            example="llm-0123456789abcdef",
            pattern=LABEL,
        ),
        Parameter(
            name="thinking",
            about="whether a model that can think does",
            example="no",
            pattern="yes|no",
        ),
    ),
    regions=REGIONS,
    checked="SDK: openai, as the vendor documents",
)
