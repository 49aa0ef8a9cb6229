"""vLLM, wherever somebody runs it: `vllm/MODEL?base_url=http://HOST:8000/v1`, and `key_env=VLLM_API_KEY` if it asks.

It passes by fields that it does not know, and its error codes are HTTP's numbers.
"""

from mlaas_lab.providers import Parameter, Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import openai_chat

NOWHERE = "https://base-url.invalid/v1"
"""It has no address of its own, so no key goes anywhere by itself."""


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    return at(target, NOWHERE, "/chat/completions")


provider = Provider(
    title="vLLM",
    wire=openai_chat.wire,
    url=_url,
    sign=bearer("VLLM_API_KEY"),
    parameters=(
        Parameter(
            name="base_url",
            about="where it listens",
            example="http://127.0.0.1:8000/v1",
            required=True,
            pattern=r".+",
        ),
    ),
    checked="SDK: openai 3.54.0; specification: vLLM's protocol.py, read",
)
