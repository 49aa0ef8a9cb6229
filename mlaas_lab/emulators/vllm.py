"""vLLM with `--api-key`: it passes by fields it does not know, and says HTTP's numbers as codes.

It has no filter of its own; what is withheld here, a guard in front of it withholds in OpenAI's words.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.emulators import Answer, Emulator, Kind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import Chat, json_reply

STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "TooManyRequestsError"),
    "overloaded": (503, "ServiceUnavailableError"),
    "filtered": (400, "BadRequestError"),
    "not_found": (404, "NotFoundError"),
    "invalid": (400, "BadRequestError"),
}


def refused(refusal: Refusal) -> Reply:
    """A refusal in vLLM's words."""
    if refusal.kind == "auth":
        return json_reply({"error": "Unauthorized"}, status=401)
    status, kind = STATUSES[refusal.kind]
    code = "content_filter" if refusal.kind == "filtered" else status
    return json_reply({"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}, status=status)


def usage(answer: Answer) -> dict[str, Any]:
    """Its counts: the cached part only where it was asked to say it, and nothing of reasoning."""
    details = {"cached_tokens": answer.cached_tokens} if answer.cached_tokens else None
    return {
        "prompt_tokens": answer.input_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "completion_tokens": answer.output_tokens,
        "prompt_tokens_details": details,
    }


emulator = Emulator(
    title="vLLM",
    vendor=lambda: Chat(key="VLLM_API_KEY", refused=refused, usage=usage),
    base="/v1",
    model="Qwen/Qwen3-0.6B",
)
