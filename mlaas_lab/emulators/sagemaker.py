"""Amazon SageMaker's runtime before a container: OpenAI's chat as vLLM serves it, or TGI's `{inputs, parameters}`.

The parts of a stream are cut within lines, as they are in life. Neither container has a filter: where one is asked for,
TGI stands behind something that has one, and fails.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply
from mlaas_lab.emulators._eventstream import event
from mlaas_lab.emulators._openai_chat import Chat, json_reply
from mlaas_lab.emulators._sigv4 import Denied, verify

PATH = r"/endpoints/(?P<model>[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})/invocations(?P<stream>-response-stream)?"
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "ThrottlingException"),
    "overloaded": (503, "ServiceUnavailable"),
    "auth": (403, "AccessDeniedException"),
    "not_found": (404, "ResourceNotFoundException"),
    "invalid": (400, "ValidationError"),
}
KNOWN = frozenset(
    {
        *("max_new_tokens", "temperature", "top_p", "top_k", "seed", "stop", "details", "return_full_text"),
        *("do_sample", "repetition_penalty", "best_of", "decoder_input_details", "truncate", "watermark"),
    }
)
FINISH = {"stop": "eos_token", "length": "length"}


class Failed(Refusal):
    """The container's own error, which AWS wraps."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__("invalid", json.dumps(body))
        self.status = status


@dataclass(kw_only=True)
class SageMaker:
    """The endpoints of one region, or of any."""

    region: str | None = None
    chat: Chat = field(default_factory=lambda: Chat(key=None, path=PATH))

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """What the container says, in parts where a stream was asked for."""
        found = re.fullmatch(PATH, asked.path)
        if found is None or asked.method != "POST":
            raise Refusal("not_found", "Could not find the resource.")
        verify(asked, service="sagemaker", region=self.region)
        reply = self._contained(asked, mind, unquote(found["model"]))
        return _parted(asked, reply) if found["stream"] else replace(reply, headers={**reply.headers, **_ids(asked)})

    def _contained(self, asked: Asked, mind: Mind, endpoint: str) -> Reply:
        body = _object(asked.body)
        if "inputs" in body:
            return _generated(endpoint, body, mind)
        try:
            return self.chat.answer(asked, mind)
        except Refusal as refusal:
            raise Failed(400, {"error": {"message": refusal.message, "type": "BadRequestError", "code": 400}}) from None

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """AWS' words; a container's stand within."""
        if refusal.kind == "filtered":
            # Not AWS: a container that has a filter of its own.
            refusal = Failed(400, {"error": {"message": refusal.message, "code": "content_filter"}})
        if isinstance(refusal, Failed):
            told = f"Received client error ({refusal.status}) from primary with message {refusal.message!r}."
            return _error(
                asked,
                "ModelError",
                424,
                ErrorCode="CLIENT_ERROR_FROM_MODEL",
                LogStreamArn="arn:aws:logs:eu-central-1:000000000000:log-group:/aws/sagemaker/Endpoints/emulated",
                Message=told,
                OriginalMessage=refusal.message,
                OriginalStatusCode=refusal.status,
            )
        status, code = STATUSES[refusal.kind]
        if isinstance(refusal, Denied):
            code = refusal.code
        return _error(asked, code, status, message=refusal.message)


def _error(asked: Asked, code: str, status: int, **body: Any) -> Reply:
    return json_reply(body, status=status, headers={"x-amzn-ErrorType": code, **_ids(asked)})


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Failed(400, {"error": "the body is not a JSON object", "error_type": "validation"})
    return body


def _generated(endpoint: str, body: Mapping[str, Any], mind: Mind) -> Reply:
    """TGI's answer to a raw prompt: its last paragraph is taken for the question."""
    wanted = body.get("parameters") or {}
    if unknown := sorted(set(wanted) - KNOWN):
        raise Failed(422, {"error": f"unknown field `{unknown[0]}`", "error_type": "validation"})
    if wanted.get("temperature") is not None and wanted["temperature"] <= 0:
        raise Failed(422, {"error": "`temperature` must be strictly positive", "error_type": "validation"})
    if wanted.get("top_p") is not None and not 0 < wanted["top_p"] < 1:
        raise Failed(422, {"error": "`top_p` must be > 0.0 and < 1.0", "error_type": "validation"})
    *before, last = str(body["inputs"]).split("\n\n")
    turns = (*(("system", text) for text in before), ("user", last))
    answer = mind(Question(model=endpoint, turns=turns, max_tokens=wanted.get("max_new_tokens")))
    if answer.finish == "filter":
        raise Failed(400, {"error": "this emulator's filter withheld the answer", "error_type": "content_filter"})
    if body.get("stream"):
        frames = [Frame(data=f"data:{data}\n\n".encode(), tokens=tokens) for data, tokens in _tokens(answer)]
        return Reply(headers={"Content-Type": "text/event-stream"}, frames=frames, model=endpoint, answer=answer)
    details = {"finish_reason": FINISH[answer.finish], "generated_tokens": answer.output_tokens, "seed": None}
    whole: dict[str, Any] = {"generated_text": answer.text}
    if wanted.get("details"):
        whole = {**whole, "details": {**details, "prefill": [], "tokens": []}}
    return json_reply([whole], model=endpoint, answer=answer)


def _tokens(answer: Answer) -> Iterator[tuple[str, int]]:
    """An event a token; the last is one that stands for the end of the text, and holds all of it."""
    finish = FINISH[answer.finish]
    details = {"finish_reason": finish, "generated_tokens": answer.output_tokens, "input_length": answer.input_tokens}
    pieces = [(piece, False) for piece in answer.pieces]
    if finish == "eos_token":
        pieces.append(("</s>", True))
    for n, (piece, special) in enumerate(pieces, 1):
        last = n == len(pieces)
        token = {"id": n, "text": piece, "logprob": -0.1, "special": special}
        data = {
            "index": n,
            "token": token,
            "generated_text": answer.text if last else None,
            "details": details if last else None,
        }
        yield json.dumps(data, ensure_ascii=False), 0 if special else 1


def _parted(asked: Asked, reply: Reply) -> Reply:
    frames = []
    for frame in reply.frames:
        half = len(frame.data) // 2
        parts = (frame.data[:half], frame.data[half:])
        data = b"".join(event("PayloadPart", part, media_type="application/octet-stream") for part in parts)
        frames.append(Frame(data=data, tokens=frame.tokens))
    headers = {
        "Content-Type": "application/vnd.amazon.eventstream",
        "X-Amzn-SageMaker-Content-Type": reply.headers["Content-Type"],
        **_ids(asked),
    }
    return replace(reply, headers=headers, frames=frames)


def _ids(asked: Asked) -> dict[str, str]:
    return {
        "x-amzn-RequestId": f"00000000-0000-4000-8000-{int(asked.at * 1e6) % 16**12:012x}",
        "x-Amzn-Invoked-Production-Variant": "AllTraffic",
    }


emulator = Emulator(title="Amazon SageMaker", vendor=SageMaker, model="support-lora", target="region=eu-central-1")
