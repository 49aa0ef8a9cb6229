"""OpenRouter: comments keep the line awake, usage always comes, and an error may end a stream that began well.

Written from openrouter.ai/docs. Whoever asks for the vendor "broken" gets an answer that breaks in its midst.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import Chat, head, json_reply
from mlaas_lab.emulators._openai_chat import usage as counts

CREDITS_PER_TOKEN = 1e-6
COMMENT = Frame(data=b": OPENROUTER PROCESSING\n\n")
STATUSES: Mapping[Kind, int] = {
    "rate_limited": 429,
    "overloaded": 502,
    "filtered": 403,
    "auth": 401,
    "not_found": 404,
    "invalid": 400,
}


def refused(refusal: Refusal) -> Reply:
    """A refusal: the code is HTTP's number, and metadata says what lies behind it."""
    status = STATUSES[refusal.kind]
    error: dict[str, Any] = {"code": status, "message": refusal.message}
    if refusal.kind == "filtered":
        error["metadata"] = {
            "reasons": ["violence"],
            "flagged_input": "…",
            "provider_name": "Emulated",
            "model_slug": "emulated/model",
        }
    if refusal.kind == "overloaded":
        error |= {
            "message": "Provider returned error",
            "metadata": {"provider_name": "Emulated", "raw": refusal.message},
        }
    return json_reply({"error": error, "user_id": "user_emulated"}, status=status)


def usage(answer: Answer) -> dict[str, Any]:
    """OpenAI's counts, and what they cost in credits."""
    total = answer.input_tokens + answer.output_tokens
    return {**counts(answer), "cost": total * CREDITS_PER_TOKEN, "is_byok": False}


@dataclass(kw_only=True)
class OpenRouter(Chat):
    """The router, with one vendor behind it."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The completion of whoever stands behind it."""
        reply = super().answer(asked, mind)
        only = (json.loads(asked.body).get("provider") or {}).get("only") or []
        if "broken" in only:
            return _broken(reply)
        return reply

    def _whole(self, model: str, answer: Answer) -> dict[str, Any]:
        whole = super()._whole(model, answer)
        whole["choices"][0]["native_finish_reason"] = answer.finish
        return {**whole, "id": "gen-emulated", "provider": "Emulated"}

    def _stream(self, model: str, body: Mapping[str, Any], answer: Answer) -> list[Frame]:
        return [COMMENT, COMMENT, *super()._stream(model, body, answer)]


def _broken(reply: Reply) -> Reply:
    """An answer that begins well: HTTP says 200, and an error follows."""
    error = {"code": 502, "message": "Provider disconnected", "metadata": {"provider_name": "Emulated"}}
    if len(reply.frames) == 1:
        return json_reply({"error": error}, model=reply.model)
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": "error"}
    event = {**head("chat.completion.chunk", reply.model), "error": error, "choices": [choice]}
    end = Frame(data=f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
    return Reply(headers=reply.headers, frames=[*reply.frames[:4], end], model=reply.model, answer=reply.answer)


emulator = Emulator(
    title="OpenRouter",
    vendor=lambda: OpenRouter(
        key="OPENROUTER_API_KEY",
        path=r"/api/v1/chat/completions",
        refused=refused,
        usage=usage,
        always_usage=True,
    ),
    base="/api/v1",
    model="openai/gpt-4.1-mini",
)
