"""Anthropic's messages, from its API reference: both versions, and what only one of them takes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply, practice_key

VERSIONS = ("2026-10-21", "2023-06-01")
KNOWN = frozenset(
    {
        *("model", "max_tokens", "messages", "system", "stop_sequences", "stream", "metadata", "thinking", "tools"),
        *("tool_choice", "service_tier", "cache_control", "container", "inference_geo", "output_config", "speed"),
        *("diagnostics",),
    }
)
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
"""Fields of the older version alone."""
FILTER = "Output blocked by content filtering policy"
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "rate_limit_error"),
    "overloaded": (529, "overloaded_error"),
    "filtered": (400, "invalid_request_error"),
    "auth": (401, "authentication_error"),
    "not_found": (404, "not_found_error"),
    "invalid": (400, "invalid_request_error"),
}
"""Kind of refusal → HTTP status and type."""
FINISHES = {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}


class Messages:
    """One server of messages."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The message that `asked` is for."""
        if asked.method != "POST" or asked.path != "/v1/messages":
            raise Refusal("not_found", "Not found")
        _authenticate(asked)
        body = _body(asked, version=_version(asked))
        turns = tuple((str(turn["role"]), _text(turn["content"])) for turn in body["messages"])
        system = (("system", _text(body["system"])),) if "system" in body else ()
        answer = mind(
            Question(
                model=body["model"],
                turns=(*system, *turns),
                max_tokens=body["max_tokens"],
                temperature=body.get("temperature"),
            )
        )
        ids = {"request-id": _request_id(asked), "anthropic-organization-id": "emulated"}
        if body.get("stream"):
            headers = {"Content-Type": "text/event-stream; charset=utf-8", **ids}
            return Reply(
                headers=headers, frames=list(_stream(body["model"], answer)), model=body["model"], answer=answer
            )
        return _json(_message(body["model"], answer), headers=ids, model=body["model"], answer=answer)

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How Anthropic refuses."""
        status, kind = STATUSES[refusal.kind]
        message = FILTER if refusal.kind == "filtered" else refusal.message
        error = {"type": kind, "message": message}
        body = {"type": "error", "error": error, "request_id": _request_id(asked)}
        return _json(body, status=status, headers={"request-id": _request_id(asked)})


def _json(body: Any, *, headers: Mapping[str, str], status: int = 200, **more: Any) -> Reply:
    tokens = more["answer"].output_tokens if more.get("answer") else 0
    frame = Frame(data=json.dumps(body, ensure_ascii=False).encode(), tokens=tokens)
    return Reply(status=status, headers={"Content-Type": "application/json", **headers}, frames=[frame], **more)


def _request_id(asked: Asked) -> str:
    return f"req_{int(asked.at * 1e6):x}"


def _version(asked: Asked) -> str:
    version = asked.headers.get("anthropic-version")
    if not version:
        raise Refusal("invalid", "anthropic-version: header is required")
    if version not in VERSIONS:
        raise Refusal("invalid", f'anthropic-version: "{version}" is not a valid version')
    return version


def _authenticate(asked: Asked) -> None:
    """Where both headers are there, x-api-key counts."""
    key = asked.headers.get("x-api-key")
    if key is not None:
        if key != practice_key("ANTHROPIC_API_KEY"):
            raise Refusal("auth", "invalid x-api-key")
        return
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        raise Refusal("auth", "x-api-key header is required")
    # The older version takes a bearer for tokens of people only, never for a key.
    if token != practice_key("ANTHROPIC_API_KEY") or asked.headers.get("anthropic-version") == VERSIONS[1]:
        raise Refusal("auth", "Invalid bearer token")


def _body(asked: Asked, *, version: str) -> dict[str, Any]:
    if asked.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise Refusal("invalid", "Content-Type: application/json is required")
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise Refusal("invalid", "The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal("invalid", "Input should be a valid dictionary")
    known = KNOWN if version == VERSIONS[0] else KNOWN | SAMPLING
    for name in body:
        if name not in known:
            raise Refusal("invalid", f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise Refusal("invalid", f"{name}: Field required")
    limit = body["max_tokens"]
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refusal("invalid", "max_tokens: Input should be greater than or equal to 1")
    if not 0 <= body.get("temperature", 0) <= 1:
        raise Refusal("invalid", "temperature: range: 0..1")
    _check_turns(body["messages"])
    return body


def _check_turns(turns: Any) -> None:
    if not isinstance(turns, list) or not turns:
        raise Refusal("invalid", "messages: at least one message is required")
    for n, turn in enumerate(turns):
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant", "system"):
            raise Refusal("invalid", f"messages.{n}.role: Input should be 'user', 'assistant' or 'system'")
        if not _text(turn.get("content")):
            raise Refusal("invalid", f"messages.{n}: user messages must have non-empty content")


def _text(content: Any) -> str:
    """The text of a string, or of blocks."""
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""


def _usage(answer: Answer, *, output_tokens: int) -> dict[str, Any]:
    """Anthropic's counts: input without what the cache gave, output with the thinking."""
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": output_tokens,
    }


def _final(answer: Answer) -> dict[str, Any]:
    thought = {"output_tokens_details": {"thinking_tokens": answer.reasoning_tokens}} if answer.reasoning_tokens else {}
    return {**_usage(answer, output_tokens=answer.output_tokens), **thought}


def _message(model: str, answer: Answer) -> dict[str, Any]:
    thinking = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}] if answer.reasoning_tokens else []
    return {
        "id": "msg_emulated",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [*thinking, {"type": "text", "text": answer.text}],
        "stop_reason": FINISHES[answer.finish],
        "stop_sequence": None,
        "usage": {**_final(answer), "service_tier": "standard"},
    }


def _stream(model: str, answer: Answer) -> Iterator[Frame]:
    begun = {**_message(model, answer), "content": [], "stop_reason": None, "usage": _usage(answer, output_tokens=1)}
    yield _event({"type": "message_start", "message": begun})
    index = 0
    if answer.reasoning_tokens:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        thought = {"type": "thinking_delta", "thinking": "Hm."}
        yield from _block(index, empty, [(thought, answer.reasoning_tokens)])
        index += 1
    pieces = [({"type": "text_delta", "text": piece}, 1) for piece in answer.pieces]
    yield from _block(index, {"type": "text", "text": ""}, pieces)
    delta = {"stop_reason": FINISHES[answer.finish], "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": _final(answer)})
    yield _event({"type": "message_stop"})


def _block(index: int, empty: dict[str, Any], deltas: list[tuple[dict[str, Any], int]]) -> Iterator[Frame]:
    yield _event({"type": "content_block_start", "index": index, "content_block": empty})
    yield _event({"type": "ping"})
    for delta, tokens in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta}, tokens=tokens)
    yield _event({"type": "content_block_stop", "index": index})


def _event(data: dict[str, Any], *, tokens: int = 0) -> Frame:
    text = f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
    return Frame(data=text.encode(), tokens=tokens)


emulator = Emulator(title="Anthropic", vendor=Messages, model="claude-haiku-4-5")
