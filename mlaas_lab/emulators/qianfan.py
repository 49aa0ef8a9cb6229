"""Baidu Qianfan: version 2's chat completions; version 1, which gives a token for keys and errors as HTTP 200.

From the vendor's lists of error codes and its reference of both versions.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from mlaas_lab.emulators import Answer, Asked, Emulator, Kind, Mind, Question, Refusal, Reply, practice_key, sse
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply

TOKEN = "/oauth/2.0/token"  # noqa: S105 - a path
CHAT = r"/rpc/2\.0/ai_custom/v1/wenxinworkshop/chat/([^/]+)"
LASTS_S = 2_592_000
V2: Mapping[Kind, tuple[int, str, str]] = {
    "rate_limited": (429, "rpm_rate_limit_exceeded", "rate_limit_exceeded"),
    "overloaded": (500, "internal_error", "Internal_error"),
    "filtered": (403, "system_unsafe", "unsafe_request"),
    "auth": (401, "invalid_iam_token", "invalid_request_error"),
    "not_found": (401, "invalid_model", "invalid_request_error"),
    "invalid": (400, "invalid_argument", "invalid_request_error"),
}
"""Kind of refusal → HTTP status, code and type."""
V1: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (336501, "Rate limit reached for RPM"),
    "overloaded": (336100, "Service is too busy, please try again later"),
    "filtered": (336104, "the content of system field is invalid"),
    "auth": (110, "Access token invalid or no longer valid"),
    "not_found": (3, "Unsupported openapi method"),
    "invalid": (336003, "the parameter is invalid"),
}
FIELDS = frozenset(
    {
        *("messages", "system", "stream", "temperature", "top_p", "penalty_score", "stop", "max_output_tokens"),
        *("functions", "user_id", "response_format", "disable_search", "enable_citation", "extra_parameters"),
    }
)


V2_FIELDS = KNOWN | {"extra_parameters", "penalty_score", "repetition_penalty", "web_search", "enable_thinking"}
"""By `extra_parameters` the vendor's own SDK names itself."""


class _V2(Chat):
    """Chat completions; the application that is billed may stand in a header."""

    def _authenticate(self, asked: Asked) -> None:
        super()._authenticate(asked)
        if not re.fullmatch(r"[A-Za-z0-9-]*", str(asked.headers.get("appid", ""))):
            raise Refusal("auth", "No permission to use the appid")


def _refused(refusal: Refusal) -> Reply:
    status, code, kind = V2[refusal.kind]
    return json_reply(
        {"error": {"code": code, "message": refusal.message, "type": kind}, "id": "as-emulated"}, status=status
    )


class _Qianfan:
    def __init__(self) -> None:
        self._v2 = _V2(key="QIANFAN_API_KEY", path=r"/v2/chat/completions", known=V2_FIELDS, refused=_refused)
        self._tokens: dict[str, float] = {}
        """Token → when it expires, UTC seconds."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        if asked.path == TOKEN:
            return self._token(asked)
        found = re.fullmatch(CHAT, asked.path)
        if found is None:
            return self._v2.answer(asked, mind)
        if asked.method != "POST":
            raise Refusal("invalid", "only POST is accepted")
        self._authenticate(asked)
        body = _checked(asked)
        turns = tuple((str(turn["role"]), str(turn["content"])) for turn in body["messages"])
        system = (("system", body["system"]),) if body.get("system") else ()
        question = Question(
            model=found[1],
            turns=(*system, *turns),
            max_tokens=body.get("max_output_tokens"),
            temperature=body.get("temperature"),
        )
        answer = mind(question)
        if not body.get("stream"):
            return json_reply(_said(answer, answer.text, whole=True), model=found[1], answer=answer)
        return Reply(
            headers={"Content-Type": "text/event-stream; charset=utf-8"},
            frames=sse(_events(answer)),
            model=found[1],
            answer=answer,
        )

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        if asked.path == TOKEN:
            status = {"rate_limited": 429, "overloaded": 503}.get(refusal.kind, 401)
            if status != 401 or refusal.kind == "auth":
                body = {"error": "invalid_client", "error_description": "unknown client id"}
                return json_reply(body if status == 401 else {"error": "temporarily_unavailable"}, status=status)
            # Who asks for a token asks no model: these are refusals of the next request.
            return self._token(asked)
        if re.fullmatch(CHAT, asked.path) is None:
            return self._v2.refusal(refusal, asked)
        code, said = V1[refusal.kind]
        told = refusal.message if refusal.kind == "invalid" else said
        return json_reply({"error_code": code, "error_msg": told, "id": "as-emulated"})

    def _token(self, asked: Asked) -> Reply:
        words = {name: values[0] for name, values in parse_qs(asked.query).items()}
        wanted = {
            "grant_type": "client_credentials",
            "client_id": practice_key("QIANFAN_AK"),
            "client_secret": practice_key("QIANFAN_SK"),
        }
        if words != wanted:
            raise Refusal("auth", "unknown client id")
        token = f"24.emulated.{len(self._tokens)}.{int(asked.at)}"
        self._tokens[token] = asked.at + LASTS_S
        return json_reply({"access_token": token, "expires_in": LASTS_S, "scope": "public", "session_key": ""})

    def _authenticate(self, asked: Asked) -> None:
        token = parse_qs(asked.query).get("access_token", [""])[0]
        if self._tokens.get(token, 0.0) <= asked.at:
            raise Refusal("auth", "Access token invalid or no longer valid")


def _checked(asked: Asked) -> dict[str, Any]:
    try:
        body = json.loads(asked.body)
    except ValueError:
        body = None
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(messages, list) or not messages:
        raise Refusal("invalid", "messages must not be empty")
    if len(messages) % 2 == 0:
        raise Refusal("invalid", "the length of messages must be an odd number")
    for n, turn in enumerate(messages):
        if turn.get("role") not in (("user", "function") if n % 2 == 0 else ("assistant",)):
            raise Refusal("invalid", "role of message with an even index must be user or function")
    if unknown := sorted(set(body) - FIELDS):
        raise Refusal("invalid", f"unknown parameter {unknown[0]}")
    if not 0 < body.get("temperature", 1) <= 1:
        raise Refusal("invalid", "temperature must be in (0, 1.0]")
    return body


def _said(answer: Answer, text: str, *, whole: bool) -> dict[str, Any]:
    """An answer, or an event with a piece of it."""
    finish = {"stop": "normal", "length": "length", "filter": "content_filter"}[answer.finish]
    return {
        "id": "as-emulated",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "result": text,
        "is_truncated": answer.finish == "length",
        "need_clear_history": answer.finish == "filter",
        **({"finish_reason": finish} if whole else {}),
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens if whole else 0,
            "total_tokens": answer.input_tokens + (answer.output_tokens if whole else 0),
        },
    }


def _events(answer: Answer) -> Iterator[tuple[str, int]]:
    for n, piece in enumerate(answer.pieces):
        said = {**_said(answer, piece, whole=False), "sentence_id": n, "is_end": False}
        yield json.dumps(said, ensure_ascii=False), 1
    last = {**_said(answer, "", whole=True), "sentence_id": len(answer.pieces), "is_end": True}
    yield json.dumps(last, ensure_ascii=False), 0


emulator = Emulator(title="Baidu Qianfan", vendor=_Qianfan, model="ernie-4.0-8k")
