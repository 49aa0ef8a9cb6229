"""Alibaba PAI-EAS: a model server of one's own (vLLM, SGLang) behind the gateway of a region, which wants its token.

The token stands in `Authorization` without a scheme. `pai_eas/MODEL?uid=…&region=…&service=…`; the service's name is
the model's unless it is given. A VPC's own address is written as `base_url`, with `key_env=PAI_EAS_TOKEN`.
"""

from mlaas_lab.providers import Parameter, Provider, at, region
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    host = f"https://{target.get('uid')}.{target.get('region')}.pai-eas.aliyuncs.com"
    return at(target, host, f"/api/predict/{target.get('service') or target.model}/v1/chat/completions")


provider = Provider(
    title="Alibaba PAI-EAS",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("PAI_EAS_TOKEN", scheme=""),
    parameters=(
        Parameter(
            name="uid",
            about="number of the account",
            env=("PAI_EAS_UID",),
            example="1234567890123456",
            required=True,
            pattern="[0-9]+",
        ),
        region("PAI_EAS_REGION", example="cn-shanghai"),
        Parameter(name="service", about="name of the deployed service", example="support_lora"),
    ),
    regions=("cn-shanghai", "cn-beijing", "cn-hangzhou", "cn-shenzhen", "cn-hongkong", "ap-southeast-1", "us-west-1"),
    checked="documentation: help.aliyun.com, Platform for AI, invoke a service through the shared gateway",
)
