"""Azure ML online endpoints: the model is the endpoint's name, the body is what its container understands.

Containers that serve chat completions do so under `/v1`; the older `/score` of MLflow models takes another body. What a
container refuses comes as 424, with its own status in a header.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from mlaas_lab.providers import Parameter, Provider, at, region
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import Fault, openai_chat

OWN_STATUS = "ms-azureml-model-error-statuscode"


def _fault(body: bytes, headers: Mapping[str, str]) -> Fault:
    found, own = openai_chat.wire.fault(body, headers), headers.get(OWN_STATUS, "")
    return replace(found, status=int(own)) if own.isdecimal() and 400 <= int(own) < 600 else found


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    name = quote(target.model, safe="")
    host = f"{name}.{target.get('region') or 'region'}.inference.ml.azure.com"
    return at(target, f"https://{host}", target.get("path") or "/v1/chat/completions")


def _fields(target: Target) -> Mapping[str, JSON]:
    served = target.get("served")
    return {"model": served} if served else {}


def _headers(target: Target) -> Mapping[str, str]:
    deployment = target.get("deployment")
    return {"azureml-model-deployment": deployment} if deployment else {}


provider = Provider(
    title="Azure Machine Learning",
    semconv="azure.ai.inference",
    wire=replace(openai_chat.wire, fault=_fault),
    url=_url,
    sign=bearer("AZUREML_ENDPOINT_KEY"),
    fields=_fields,
    headers=_headers,
    parameters=(
        region(example="westeurope"),
        Parameter(name="deployment", about="which deployment answers; by default as traffic is split", example="blue"),
        Parameter(name="served", about="what its container calls the model; by default as the endpoint", example="m"),
        Parameter(
            name="path",
            about="where its container takes chat completions",
            example="/v1/chat/completions",
            default="/v1/chat/completions",
            pattern=r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+",
        ),
    ),
    checked="documentation: Azure ML, invoke an online endpoint",
)
