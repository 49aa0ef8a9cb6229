"""Google Vertex AI: Gemini and tuned models by generateContent, other endpoints and publishers as `api=openai`.

    vertex/gemini-2.5-flash                      Google's own models
    vertex/endpoints/123?region=europe-west4     a tuned model, or with api=openai what somebody deployed
    vertex/meta/llama-4?api=openai               another publisher's model

`base_url` may name another version of the API, or an endpoint's own host: https://….prediction.vertexai.goog/v1.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from mlaas_lab.errors import CallError, QuotaExceeded, TimedOut
from mlaas_lab.providers import Api, Parameter, Provider, at, region
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing.google import access_token
from mlaas_lab.wires import gemini, openai_chat

ANYWHERE = "global"
MULTI_REGIONS = ("eu", "us")
AREAS: Mapping[str, tuple[int, ...]] = {
    "africa-south": (1,),
    "asia-east": (1, 2),
    "asia-northeast": (1, 2, 3),
    "asia-south": (1, 2),
    "asia-southeast": (1, 2, 3),
    "australia-southeast": (1, 2),
    "europe-central": (2,),
    "europe-north": (1, 2),
    "europe-southwest": (1,),
    "europe-west": (1, 2, 3, 4, 6, 8, 9, 10, 12, 15),
    "me-central": (1, 2),
    "me-west": (1,),
    "northamerica-northeast": (1, 2),
    "southamerica-east": (1,),
    "southamerica-west": (1,),
    "us-central": (1, 2),
    "us-east": (1, 4, 5, 7),
    "us-south": (1,),
    "us-west": (1, 2, 3, 4, 8),
}
"""Locational endpoints of Google's discovery document, revision 20261106."""
REGIONS = (ANYWHERE, *MULTI_REGIONS, *(f"{area}{n}" for area, numbers in AREAS.items() for n in numbers))
ENDPOINTS = "endpoints/"
"""How the name of what somebody tuned or deployed begins."""
CODES: Mapping[str, type[CallError]] = {"BILLING_DISABLED": QuotaExceeded, "DEADLINE_EXCEEDED": TimedOut}


def _place(target: Target) -> str:
    """The address of the project in its region."""
    where, project = target.get("region") or ANYWHERE, target.get("project") or ""
    if where == ANYWHERE:
        host = "aiplatform.googleapis.com"
    elif where in MULTI_REGIONS:
        host = f"aiplatform.{where}.rep.googleapis.com"
    else:
        host = f"{where}-aiplatform.googleapis.com"
    return at(target, f"https://{host}/v1", f"/projects/{quote(project)}/locations/{where}")


def _url(target: Target, *, stream: bool) -> str:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"{_place(target)}/{quote(_named(target.model))}:{verb}"


def _named(model: str) -> str:
    """The path of a model: whose it is and what it is called."""
    if model.startswith((ENDPOINTS, "publishers/")):
        return model
    publisher, slash, name = model.partition("/")
    return f"publishers/{publisher}/models/{name}" if slash else f"publishers/google/models/{model}"


def _chat_url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - the body asks for a stream
    endpoint = target.model if target.model.startswith(ENDPOINTS) else f"{ENDPOINTS}openapi"
    return f"{_place(target)}/{quote(endpoint)}/chat/completions"


def _chat_fields(target: Target) -> Mapping[str, JSON]:
    """The model as the body names it: the address of an endpoint says which it is."""
    if target.model.startswith(ENDPOINTS):
        return {"model": ""}
    return {"model": target.model if "/" in target.model else f"google/{target.model}"}


provider = Provider(
    title="Google Vertex AI",
    semconv="gcp.vertex_ai",
    wire=gemini.wire,
    url=_url,
    sign=access_token(),
    codes=CODES,
    parameters=(
        Parameter(
            name="project",
            about="the cloud project that is billed",
            example="my-project",
            env=("GOOGLE_CLOUD_PROJECT",),
            required=True,
            pattern=r"[A-Za-z0-9][A-Za-z0-9.:-]*",
        ),
        region("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", default=ANYWHERE, example="europe-west4"),
    ),
    regions=REGIONS,
    hosts=("aiplatform.googleapis.com", ".rep.googleapis.com", ".prediction.vertexai.goog"),
    checked="SDK: google-genai; specification: Google's discovery document aiplatform.v1",
    apis={
        "openai": Api(
            wire=replace(openai_chat.wire, fault=gemini.fault),
            url=_chat_url,
            fields=_chat_fields,
            sign=access_token(),
            codes=CODES,
            checked="SDK: openai, as Google documents it",
        )
    },
)
