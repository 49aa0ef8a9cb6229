"""Hugging Face's router, as it was seen: usage comes twice in a stream, and an answer may say `retry-after` too."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import Chat, json_reply

STATUSES: Mapping[Kind, int] = {
    "rate_limited": 429,
    "overloaded": 503,
    "filtered": 400,
    "auth": 401,
    "not_found": 400,
    "invalid": 400,
}
CODES: Mapping[Kind, str] = {"filtered": "content_filter", "not_found": "model_not_supported"}
MODEL = re.compile(r"[\w.-]+/[\w.-]+(:[\w-]+)?|tgi")
"""`org/name` with an optional vendor behind it; a dedicated endpoint calls its only model `tgi`."""


def refused(refusal: Refusal) -> Reply:
    """A refusal: the router's own is a sentence, one of a vendor behind it is an object."""
    status = STATUSES[refusal.kind]
    if refusal.kind in ("auth", "overloaded", "rate_limited"):
        return json_reply({"error": refusal.message}, status=status)
    error = {
        "message": refusal.message,
        "type": "invalid_request_error",
        "param": "model",
        "code": CODES.get(refusal.kind),
    }
    return json_reply({"error": error}, status=status)


@dataclass(kw_only=True)
class Router(Chat):
    """The router with one vendor behind it, or a dedicated endpoint."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The completion, with the headers of a vendor that is near its limit."""
        reply = super().answer(asked, mind)
        if not MODEL.fullmatch(reply.model):
            named = f"The requested model '{reply.model}' is not supported by any provider you have enabled."
            raise Refusal("not_found", named)
        return replace(reply, headers={**reply.headers, "retry-after": "30", "x-inference-provider": "emulated"})

    def _stream(self, model: str, body: Mapping[str, Any], answer: Answer) -> list[Frame]:
        """Usage with the finish reason, besides the chunk of its own that was asked for."""
        frames = super()._stream(model, body, answer)
        return [self._counted(frame, answer) for frame in frames]

    def _counted(self, frame: Frame, answer: Answer) -> Frame:
        data = frame.data.removeprefix(b"data: ").strip()
        chunk = json.loads(data) if data.startswith(b"{") else {}
        if not any(choice["finish_reason"] for choice in chunk.get("choices", ())):
            return frame
        chunk["usage"] = self.usage(answer)
        return replace(frame, data=f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())


emulator = Emulator(
    title="Hugging Face",
    vendor=lambda: Router(key="HF_TOKEN", refused=refused),
    base="/v1",
    model="meta-llama/Llama-3.3-70B-Instruct",
)
