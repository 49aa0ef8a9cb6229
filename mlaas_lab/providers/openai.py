"""OpenAI, and every server that speaks its chat completions: `openai/MODEL?base_url=http://127.0.0.1:8000/v1`.

Its newer models take the limit of an answer as `max_completion_tokens` alone; other servers took over `max_tokens`, and
some of them pass by the newer name in silence. So the name follows from who is asked, unless the target gives it.
"""

from urllib.parse import urlsplit

from mlaas_lab.providers import Parameter, Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import Wire, openai_chat

HOST = "api.openai.com"
OWN = "max_completion_tokens"
OTHERS = "max_tokens"
WIRES = {limit: openai_chat.spoken(limit=limit) for limit in (OWN, OTHERS)}


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - one address for both
    region = target.get("region")
    return at(target, f"https://{region}.{HOST}/v1" if region else f"https://{HOST}/v1", "/chat/completions")


def _wire(target: Target) -> Wire:
    host = urlsplit(target.get("base_url") or "").hostname
    own = host is None or target.get("emulated") is not None or f".{host}".endswith(f".{HOST}")
    return WIRES[target.get("limit") or (OWN if own else OTHERS)]


provider = Provider(
    title="OpenAI",
    semconv="openai",
    wire=WIRES[OWN],
    wire_at=_wire,
    url=_url,
    sign=bearer("OPENAI_API_KEY"),
    parameters=(
        Parameter(name="region", about="where data stays, if the project is bound to it", example="eu"),
        Parameter(
            name="limit",
            about="what the field for the most tokens is called; by default what the server is known to take",
            example=OTHERS,
            pattern="|".join(WIRES),
        ),
    ),
    regions=("us", "eu"),
    hosts=(f".{HOST}",),
    checked="SDK: openai 3.54.0; specification: its typed requests",
)
