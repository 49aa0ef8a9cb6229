"""OpenRouter: one key for many vendors' models; which of them answers is its choice unless the target names one.

It always says usage, errors come in the midst of a stream too, and the model in the answer may be another.
"""

from collections.abc import Mapping

from mlaas_lab.providers import Parameter, Provider, at
from mlaas_lab.schema import JSON, Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, "https://openrouter.ai/api/v1", "/chat/completions")


def _fields(target: Target) -> Mapping[str, JSON]:
    only = target.get("only")
    return {"provider": {"only": [only], "allow_fallbacks": False}} if only else {}


provider = Provider(
    title="OpenRouter",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("OPENROUTER_API_KEY"),
    fields=_fields,
    parameters=(
        Parameter(
            name="only",
            about="the vendor behind it that answers; by default it chooses",
            example="groq",
            pattern=r"[A-Za-z0-9][A-Za-z0-9._/-]*",
        ),
    ),
    hosts=(".openrouter.ai",),
    checked="SDK: openai 3.54.0; documentation: openrouter.ai/docs",
)
