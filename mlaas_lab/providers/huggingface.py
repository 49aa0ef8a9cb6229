"""Hugging Face: `huggingface/org/name` by its router, `…:groq` or `?provider=groq` at one of the vendors behind it.

A dedicated endpoint is `huggingface/NAME?endpoint=https://….endpoints.huggingface.cloud`; 503 says that it is waking.
"""

from collections.abc import Mapping

from mlaas_lab.errors import NotFound
from mlaas_lab.providers import Parameter, Provider, at
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat

ROUTER = "https://router.huggingface.co"
ENDPOINTS = ".endpoints.huggingface.cloud"


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, f"{target.get('endpoint') or ROUTER}/v1", "/chat/completions")


def _fields(target: Target) -> Mapping[str, JSON]:
    """Who answers behind the router; the model's name says it."""
    behind = target.get("provider")
    if not behind or target.get("endpoint"):
        return {}
    return {"model": f"{target.model.partition(':')[0]}:{behind}"}


provider = Provider(
    title="Hugging Face",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("HF_TOKEN"),
    fields=_fields,
    codes={"model_not_supported": NotFound},
    parameters=(
        Parameter(name="provider", about="the vendor behind the router that answers", example="groq"),
        Parameter(
            name="endpoint",
            about="a dedicated endpoint, instead of the router",
            example=f"https://abc123.us-east-1.aws{ENDPOINTS}",
            pattern=r"https://[A-Za-z0-9][A-Za-z0-9.-]*\.endpoints\.huggingface\.cloud",
        ),
    ),
    hosts=(ENDPOINTS,),
    checked="SDK: huggingface_hub 2.4.0",
)
