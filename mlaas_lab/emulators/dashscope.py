"""Alibaba Model Studio: chat completions under `/compatible-mode`, and DashScope's own generation under `/api`.

From the vendor's reference of its API, of its streams and of its error codes. Natively, a stream is asked for by a
header; its events hold all text so far unless increments are asked for, and an error is framed as an event too, under
HTTP 400 and a media type that says JSON.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply, practice_key
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply

KEY = "DASHSCOPE_API_KEY"
NATIVE = "/api/v1/services/aigc/"
TASKS = ("text-generation/generation", "multimodal-generation/generation")
ROLES = ("system", "user", "assistant", "tool", "function", "plugin")
PARAMETERS = frozenset(
    {
        *("result_format", "incremental_output", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop"),
        *("repetition_penalty", "presence_penalty", "enable_thinking", "thinking_budget", "enable_search", "stream"),
        *("search_options", "tools", "tool_choice", "n", "logprobs", "top_logprobs", "response_format"),
    }
)
COMPATIBLE = KNOWN | {"enable_thinking", "thinking_budget", "enable_search", "search_options", "top_k"}
WITHHELD = "Output data may contain inappropriate content."
REFUSED: Mapping[Kind, tuple[int, str, str]] = {
    "rate_limited": (429, "Throttling.RateQuota", "limit_requests"),
    "overloaded": (503, "ModelServingError", "internal_error"),
    "filtered": (400, "DataInspectionFailed", "data_inspection_failed"),
    "auth": (401, "InvalidApiKey", "invalid_api_key"),
    "not_found": (404, "model_not_found", "model_not_found"),
    "invalid": (400, "InvalidParameter", "invalid_parameter_error"),
}
"""Kind of refusal → HTTP status, native code, and the code of the compatible way."""


def _id(asked: Asked) -> str:
    return f"{int(asked.at * 1e6):x}-emulated"


def _compatible_error(refusal: Refusal) -> dict[str, Any]:
    code = REFUSED[refusal.kind][2]
    return {"error": {"message": refusal.message, "type": code, "param": None, "code": code}, "request_id": "emulated"}


class _Compatible(Chat):
    """Chat completions; what the filter withholds is an error, also within a stream."""

    def _whole(self, model: str, answer: Answer) -> dict[str, Any]:
        if answer.finish == "filter":
            raise Refusal("filtered", WITHHELD)
        return super()._whole(model, answer)

    def _stream(self, model: str, body: Mapping[str, Any], answer: Answer) -> list[Frame]:
        frames = super()._stream(model, body, answer)
        if answer.finish != "filter":
            return frames
        error = json.dumps(_compatible_error(Refusal("filtered", WITHHELD)))
        return [*frames[: len(answer.pieces) + 1], Frame(data=f"data: {error}\n\n".encode())]


class _ModelStudio:
    def __init__(self) -> None:
        self._compatible = _Compatible(
            key=KEY,
            path=r"/compatible-mode/v1/chat/completions",
            known=COMPATIBLE,
            refused=lambda refusal: json_reply(_compatible_error(refusal), status=REFUSED[refusal.kind][0]),
        )

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        if not asked.path.startswith(NATIVE):
            return self._compatible.answer(asked, mind)
        task = asked.path.removeprefix(NATIVE)
        if asked.method != "POST" or task not in TASKS:
            raise Refusal("invalid", "url error, please check url!")
        if asked.headers.get("Authorization") != f"Bearer {practice_key(KEY)}":
            raise Refusal("auth", "Invalid API-key provided.")
        body = _checked(asked, parts=task == TASKS[1])
        settings = body["parameters"]
        answer = mind(_question(body))
        if not _streams(asked):
            if answer.finish == "filter":
                raise Refusal("filtered", WITHHELD)
            said = _said(answer, answer.text, answer.finish, len(answer.pieces), settings)
            return json_reply({**said, "request_id": _id(asked)}, model=body["model"], answer=answer)
        if answer.finish == "filter":
            answer = replace(answer, output_tokens=len(answer.pieces))
        return Reply(
            headers={"Content-Type": "text/event-stream;charset=UTF-8", "x-request-id": _id(asked)},
            frames=list(_frames(answer, settings, asked)),
            model=body["model"],
            answer=answer,
        )

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        if not asked.path.startswith(NATIVE):
            return self._compatible.refusal(refusal, asked)
        status, code, compatible = REFUSED[refusal.kind]
        if refusal.kind == "not_found":
            # It comes from the gateway before the service, in the words of the other way in.
            return json_reply({"error": {"message": refusal.message, "type": compatible, "code": code}}, status=404)
        body = {"code": code, "message": refusal.message, "request_id": _id(asked)}
        if not _streams(asked):
            return json_reply(body, status=status)
        framed = f"id:1\nevent:error\n:HTTP_STATUS/{status}\ndata:{json.dumps(body, ensure_ascii=False)}\n"
        return Reply(status=status, headers={"Content-Type": "application/json"}, frames=[Frame(data=framed.encode())])


def _streams(asked: Asked) -> bool:
    return str(asked.headers.get("X-DashScope-SSE", "")).lower() == "enable"


def _checked(asked: Asked, *, parts: bool) -> dict[str, Any]:
    """The body, if it is as the vendor's reference has it."""
    try:
        body = json.loads(asked.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        raise Refusal("invalid", 'Required parameter "model" missing from request.')
    given = body.get("input")
    messages = given.get("messages") if isinstance(given, dict) else None
    settings = body.setdefault("parameters", {})
    if not isinstance(messages, list) or not messages or not isinstance(settings, dict):
        raise Refusal("invalid", "Required input parameter missing from request.")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Refusal("invalid", f"Role must be in {list(ROLES)}")
        if not isinstance(message.get("content"), list if parts else str):
            raise Refusal("invalid", "Input should be a valid list" if parts else "Input should be a valid string")
    if messages[-1]["role"] not in ("user", "function", "tool"):
        raise Refusal("invalid", "the role in last message must be in ['user', 'function', 'tool']")
    unknown = sorted({*(set(body) - {"model", "input", "parameters"}), *(set(settings) - PARAMETERS)})
    if unknown:
        raise Refusal("invalid", f"Unknown parameter {unknown[0]}.")
    _ranges(settings)
    return body


def _ranges(settings: Mapping[str, Any]) -> None:
    if settings.get("result_format", "message") not in ("message", "text"):
        raise Refusal("invalid", "result_format must be 'message' or 'text'")
    if settings.get("max_tokens", 1) < 1:
        raise Refusal("invalid", "Range of max_tokens should be [1, 32768]")
    if not 0 <= settings.get("temperature", 0) < 2:
        raise Refusal("invalid", "Temperature should be in [0.0, 2.0)")
    if not 0 < settings.get("top_p", 1) <= 1:
        raise Refusal("invalid", "Range of top_p should be (0.0, 1.0]")


def _question(body: Mapping[str, Any]) -> Question:
    turns = []
    for message in body["input"]["messages"]:
        content = message["content"]
        text = content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)
        turns.append((str(message["role"]), text))
    settings = body["parameters"]
    return Question(
        model=body["model"],
        turns=tuple(turns),
        max_tokens=settings.get("max_tokens"),
        temperature=settings.get("temperature"),
    )


def _said(answer: Answer, text: str, finish: str, made: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """An event, or the whole: `made` pieces of the answer are counted."""
    output_tokens = answer.output_tokens - len(answer.pieces) + made
    usage: dict[str, Any] = {
        "input_tokens": answer.input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": answer.input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }
    if answer.reasoning_tokens:
        usage["output_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
    if settings.get("result_format") != "message":
        return {"output": {"text": text, "finish_reason": finish}, "usage": usage}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"output": {"choices": [choice]}, "usage": usage}


def _frames(answer: Answer, settings: Mapping[str, Any], asked: Asked) -> Iterator[Frame]:
    """All text so far in every event, or only what is new; the last one says why it ended."""
    incremental = bool(settings.get("incremental_output"))
    sofar = ""
    for n, piece in enumerate(answer.pieces, 1):
        sofar += piece
        yield _frame(n, _said(answer, piece if incremental else sofar, "null", n, settings), asked, tokens=1)
    last = len(answer.pieces) + 1
    if answer.finish == "filter":
        error = {"code": "DataInspectionFailed", "message": WITHHELD}
        yield _frame(last, error, asked, event="error", status=400)
        return
    text = "" if incremental else sofar
    yield _frame(last, _said(answer, text, answer.finish, len(answer.pieces), settings), asked)


def _frame(
    n: int, said: Mapping[str, Any], asked: Asked, *, tokens: int = 0, event: str = "result", status: int = 200
) -> Frame:
    data = json.dumps({**said, "request_id": _id(asked)}, ensure_ascii=False)
    return Frame(data=f"id:{n}\nevent:{event}\n:HTTP_STATUS/{status}\ndata:{data}\n\n".encode(), tokens=tokens)


emulator = Emulator(title="Alibaba Model Studio (DashScope)", vendor=_ModelStudio, model="qwen-plus")
