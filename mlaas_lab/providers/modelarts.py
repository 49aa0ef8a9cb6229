"""Huawei ModelArts MaaS: OpenAI's wire at one host; the key belongs to the region of the service it was made for."""

from mlaas_lab.errors import AuthFailed, ContentFiltered, InvalidRequest, NotFound, QuotaExceeded, RateLimited, TimedOut
from mlaas_lab.providers import Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, "https://api.modelarts-maas.com", "/v1/chat/completions")


provider = Provider(
    title="Huawei ModelArts MaaS",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("MODELARTS_API_KEY"),
    codes={
        "ModelArts.81001": InvalidRequest,
        "ModelArts.81002": AuthFailed,
        "ModelArts.81003": AuthFailed,
        "ModelArts.81004": QuotaExceeded,
        "ModelArts.81005": QuotaExceeded,
        "ModelArts.81006": QuotaExceeded,
        "ModelArts.81009": NotFound,
        "ModelArts.81011": ContentFiltered,
        "ModelArts.81101": RateLimited,
        "ModelArts.81103": RateLimited,
        "APIG.0101": NotFound,
        "APIG.0201": InvalidRequest,
        "APIG.0203": TimedOut,
        "APIG.0301": AuthFailed,
        "APIG.0308": RateLimited,
    },
    checked="documentation: support.huaweicloud.com, ModelArts Studio (MaaS) user guide, error codes",
)
