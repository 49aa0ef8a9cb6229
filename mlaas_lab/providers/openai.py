"""OpenAI, and every server that speaks its chat completions: `openai/MODEL?base_url=http://127.0.0.1:8000/v1`."""

from mlaas_lab.providers import Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, "https://api.openai.com/v1", "/chat/completions")


provider = Provider(
    title="OpenAI", wire=openai_chat.wire, url=_url, sign=bearer("OPENAI_API_KEY"), checked="SDK: openai"
)
