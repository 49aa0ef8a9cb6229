"""IBM watsonx.ai: models by name, or somebody's own as `watsonx/deployments/ID`; a project or a space pays."""

from urllib.parse import quote

from mlaas_lab.errors import AuthFailed, InvalidRequest, NotFound, QuotaExceeded, RateLimited
from mlaas_lab.providers import Address, Api, Parameter, Provider, at, region
from mlaas_lab.schema import Target
from mlaas_lab.signing.ibm import iam
from mlaas_lab.wires import watsonx, watsonx_generation
from mlaas_lab.wires.watsonx import DEPLOYMENTS

REGION = "us-south"
VERSION = "2026-10-14"
"""Day of the interface: the one that IBM's own library of that month asks for."""
CODES = {
    "authentication_token_expired": AuthFailed,
    "authentication_token_not_valid": AuthFailed,
    "authorization_rejected": AuthFailed,
    "user_authorization_failed": AuthFailed,
    "BXNIM0415E": AuthFailed,
    "invalid_input_argument": InvalidRequest,
    "invalid_request_entity": InvalidRequest,
    "json_type_error": InvalidRequest,
    "json_validation_error": InvalidRequest,
    "model_no_support_for_function": InvalidRequest,
    "model_not_supported": NotFound,
    "rate_limit_reached_requests": RateLimited,
    "token_quota_reached": QuotaExceeded,
}
"""`token_quota_reached` comes under status 403, which would be the key's fault."""


def _address(verb: str) -> Address:
    def url(target: Target, *, stream: bool) -> str:
        host = f"https://{target.get('region', REGION)}.ml.cloud.ibm.com"
        place = ""
        if target.model.startswith(DEPLOYMENTS):
            place = f"/deployments/{quote(target.model.removeprefix(DEPLOYMENTS), safe='')}"
        version = target.get("version", VERSION)
        return at(target, host, f"/ml/v1{place}/text/{verb}{'_stream' if stream else ''}?version={version}")

    return url


def _fields(target: Target) -> dict[str, str]:
    """Who pays; a deployment knows."""
    if target.model.startswith(DEPLOYMENTS):
        return {}
    # What the target says itself stands before what the environment adds.
    for name, value in target.params:
        if name in ("project", "space"):
            return {f"{name}_id": value}
    raise InvalidRequest(
        f"{target.provider}/{target.model}: no project or space is named.",
        next="Write ?project=ID or ?space=ID, or set WATSONX_PROJECT_ID or WATSONX_SPACE_ID.",
    )


provider = Provider(
    title="IBM watsonx.ai",
    semconv="ibm.watsonx.ai",
    wire=watsonx.wire,
    url=_address("chat"),
    sign=iam("WATSONX_APIKEY"),
    fields=_fields,
    codes=CODES,
    parameters=(
        region("WATSONX_REGION", default=REGION, example="eu-de"),
        Parameter(name="project", about="who pays", example="12ac4cf1-…", env=("WATSONX_PROJECT_ID",)),
        Parameter(
            name="space", about="who pays, instead of a project", example="3fc54cf1-…", env=("WATSONX_SPACE_ID",)
        ),
        Parameter(
            name="version",
            about="day of the interface",
            example=VERSION,
            default=VERSION,
            pattern=r"\d{4}-\d{2}-\d{2}",
        ),
    ),
    regions=("us-south", "eu-de", "eu-gb", "jp-tok", "au-syd", "ca-tor"),
    apis={
        "generation": Api(
            wire=watsonx_generation.wire,
            url=_address("generation"),
            sign=iam("WATSONX_APIKEY"),
            fields=_fields,
            codes=CODES,
            checked="SDK: ibm-watsonx-ai 1.8.1; specification: @ibm-cloud/watsonx-ai 1.7.16",
        )
    },
    checked="SDK: ibm-watsonx-ai 1.8.1; specification: @ibm-cloud/watsonx-ai 1.7.16",
)
