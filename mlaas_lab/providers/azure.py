"""Azure OpenAI: the model is the name of a deployment, its region is that of the resource and stands in no address.

The first way in is the undated `/openai/v1`; `api=deployments` is the older one with a dated `api-version`, whose last
general one knows `max_tokens` alone.
"""

import re
from urllib.parse import quote, urlsplit

from mlaas_lab.errors import ContentFiltered, NotFound
from mlaas_lab.providers import Api, Parameter, Provider, at, region
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import Wire, openai_chat

HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".openai.azure.us")
NAME = r"[A-Za-z0-9][A-Za-z0-9-]*"
RESOURCE = rf"{NAME}|https://{NAME}(?:{'|'.join(map(re.escape, HOSTS))})(?:/[\w./-]*)?"
VERSION = "2024-10-21"
"""The last general one; later previews are dated later."""
NEWER = openai_chat.spoken(limit="max_completion_tokens")
SIGN = (bearer("AZURE_OPENAI_API_KEY", header="api-key", scheme=""), bearer("AZURE_OPENAI_AD_TOKEN"))
CODES = {"DeploymentNotFound": NotFound, "ResponsibleAIPolicyViolation": ContentFiltered}


def _host(target: Target) -> str:
    """Of the resource, which is given by its name or by its address."""
    resource = target.get("resource") or "resource"
    return f"https://{urlsplit(resource).hostname or resource + HOSTS[0]}"


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, _host(target), "/openai/v1/chat/completions")


def _deployment_url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    path = f"/openai/deployments/{quote(target.model, safe='')}/chat/completions"
    return at(target, _host(target), f"{path}?api-version={target.get('api_version') or VERSION}")


def _dated(target: Target) -> Wire:
    return NEWER if (target.get("api_version") or VERSION) > VERSION else openai_chat.wire


provider = Provider(
    title="Azure OpenAI",
    semconv="azure.ai.openai",
    wire=NEWER,
    url=_url,
    sign=SIGN,
    codes=CODES,
    apis={
        "deployments": Api(
            wire=openai_chat.wire,
            wire_at=_dated,
            url=_deployment_url,
            sign=SIGN,
            codes=CODES,
            checked=f"SDK: openai 3.54.0 (AzureOpenAI); specification: Azure's {VERSION}, read",
        )
    },
    parameters=(
        Parameter(
            name="resource",
            about="the resource that holds the deployment; one with a domain of its own: base_url=https://HOST",
            example="my-resource",
            env=("AZURE_OPENAI_ENDPOINT",),
            required=True,
            pattern=RESOURCE,
        ),
        Parameter(name="api_version", about="date of the older way in", example=VERSION, env=("OPENAI_API_VERSION",)),
        region(required=False, example="swedencentral"),
    ),
    hosts=HOSTS,
    checked="SDK: openai 3.54.0 (base_url …/openai/v1)",
)
