"""Tencent Cloud: chat completions with a key, and the signed `ChatCompletions` of Hunyuan and of the knowledge engine.

From Tencent's specification of both services (`hunyuan` 2023-09-01, `lkeap` 2024-05-22) and its examples. Natively an
error is an HTTP 200; a whole answer stands in `Response`, an event does not.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply, practice_key
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply
from mlaas_lab.emulators._tc3 import Unsigned, verify

NOTE = "以上内容为AI生成，不代表开发者立场，请勿删除或修改本标记"
MOST_TURNS = 40


@dataclass(frozen=True, kw_only=True)
class _Service:
    """What one of the two native services knows."""

    name: str
    fields: frozenset[str]
    roles: tuple[str, ...]
    codes: Mapping[Kind, str]
    withheld: str
    """Finish reason of the filter."""


CODES: Mapping[Kind, str] = {
    "rate_limited": "RequestLimitExceeded",
    "overloaded": "FailedOperation.EngineServerError",
    "filtered": "OperationDenied.TextIllegalDetected",
    "auth": "AuthFailure.SignatureFailure",
    "not_found": "ResourceNotFound",
    "invalid": "InvalidParameter",
}
SERVICES = {
    "2023-09-01": _Service(
        name="hunyuan",
        fields=frozenset(
            {
                *("Model", "Messages", "Stream", "StreamModeration", "TopP", "Temperature", "EnableEnhancement"),
                *("Tools", "ToolChoice", "CustomTool", "SearchInfo", "Citation", "EnableSpeedSearch", "Seed", "Stop"),
                *("EnableMultimedia", "EnableDeepSearch", "ForceSearchEnhancement", "EnableRecommendedQuestions"),
                *("EnableDeepRead", "WebSearchOptions", "TopicChoice", "EnableThinking"),
            }
        ),
        roles=("system", "user", "assistant", "tool"),
        codes={
            **CODES,
            "rate_limited": "FailedOperation.EngineServerLimitExceeded",
            "not_found": "InvalidParameterValue.Model",
        },
        withheld="sensitive",
    ),
    "2024-05-22": _Service(
        name="lkeap",
        fields=frozenset({"Model", "Messages", "Stream", "Temperature", "MaxTokens", "EnableSearch", "Thinking"}),
        roles=("system", "user", "assistant"),
        codes=CODES,
        withheld="content_filter",
    ),
}
"""Version of the interface → service: here both live at one host."""


class _Coded(Refusal):
    """A refusal with a code of its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__("invalid", message)
        self.code = code


class _Tencent:
    def __init__(self) -> None:
        self._compatible = Chat(key="TENCENT_API_KEY", known=KNOWN | {"enable_enhancement", "thinking"})

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        if not _native(asked):
            return self._compatible.answer(asked, mind)
        service = SERVICES.get(asked.headers.get("X-TC-Version", ""))
        if service is None:
            raise _Coded("NoSuchVersion", "The version is not known.")
        if asked.method != "POST" or asked.path != "/":
            raise _Coded("InvalidRequest", "POST / is expected.")
        verify(asked, service.name)
        if asked.headers.get("X-TC-Token", practice_key("TENCENTCLOUD_TOKEN")) != practice_key("TENCENTCLOUD_TOKEN"):
            raise Unsigned("TokenFailure", "The token is wrong.")
        if asked.headers.get("X-TC-Action") != "ChatCompletions":
            raise _Coded("InvalidAction", "The action is not known.")
        body = _checked(asked, service)
        answer = mind(_question(body))
        if not body.get("Stream"):
            whole = {"Response": {"RequestId": _id(asked), **_whole(service, body["Model"], answer)}}
            return json_reply(whole, model=body["Model"], answer=answer, headers={"X-TC-RequestId": _id(asked)})
        frames = _hunyuan(answer, service) if service.name == "hunyuan" else _lkeap(answer, service, body["Model"])
        return Reply(
            headers={"Content-Type": "text/event-stream", "X-TC-RequestId": _id(asked)},
            frames=list(frames),
            model=body["Model"],
            answer=answer,
        )

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        if not _native(asked):
            return self._compatible.refusal(refusal, asked)
        service = SERVICES.get(asked.headers.get("X-TC-Version", ""))
        code = (service.codes if service else CODES)[refusal.kind]
        if isinstance(refusal, _Coded | Unsigned):
            code = refusal.code
        return json_reply({"Response": {"Error": {"Code": code, "Message": refusal.message}, "RequestId": _id(asked)}})


def _native(asked: Asked) -> bool:
    return "X-TC-Action" in asked.headers or asked.path == "/"


def _id(asked: Asked) -> str:
    return f"{int(asked.at * 1e6):x}-emulated"


def _checked(asked: Asked, service: _Service) -> dict[str, Any]:
    """The body, if it is as the service's specification has it."""
    if asked.headers.get("Content-Type") != "application/json":
        raise _Coded("UnsupportedProtocol", "Content-Type must be application/json.")
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise _Coded("InvalidRequest", "The body is not JSON.") from None
    for name in ("Model", "Messages"):
        if not body.get(name):
            raise _Coded("MissingParameter", f"The request is missing a required parameter `{name}`.")
    if unknown := sorted(set(body) - service.fields):
        raise _Coded("UnknownParameter", f"The parameter `{unknown[0]}` is not recognized.")
    _turns(body["Messages"], service)
    for name, kinds, low, high in (
        ("Temperature", (int, float), 0, 2),
        ("TopP", (int, float), 0, 1),
        ("Seed", int, 1, 10_000),
        ("MaxTokens", int, 1, 65_536),
    ):
        value = body.get(name)
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            raise _Coded("InvalidParameter", f"{name} must be between {low} and {high}.")
    if not isinstance(body.get("Stop", []), list):
        raise _Coded("InvalidParameter", "Stop must be a list.")
    return dict(body)


def _turns(turns: list[dict[str, Any]], service: _Service) -> None:
    """A system's turn may come first; the others alternate, and the last is the user's."""
    if len(turns) > MOST_TURNS:
        raise _Coded("InvalidParameter", f"Messages must be {MOST_TURNS} or fewer.")
    for n, turn in enumerate(turns):
        if unknown := sorted(set(turn) - {"Role", "Content", "Contents", "ToolCallId", "ToolCalls"}):
            raise _Coded("UnknownParameter", f"The parameter `Messages.{n}.{unknown[0]}` is not recognized.")
        if turn.get("Role") not in service.roles or (turn["Role"] == "system" and n):
            raise _Coded("InvalidParameter", f"Messages.{n}.Role is not valid.")
    talk = [turn["Role"] for turn in turns if turn["Role"] in ("user", "assistant")]
    if talk[::2] != ["user"] * len(talk[::2]) or "user" in talk[1::2] or turns[-1]["Role"] not in ("user", "tool"):
        raise _Coded("InvalidParameter", "Messages must alternate between user and assistant and end with user.")


def _question(body: Mapping[str, Any]) -> Question:
    return Question(
        model=body["Model"],
        turns=tuple((str(turn["Role"]), str(turn.get("Content") or "")) for turn in body["Messages"]),
        max_tokens=body.get("MaxTokens"),
        temperature=body.get("Temperature"),
    )


def _finish(answer: Answer, service: _Service) -> str:
    return service.withheld if answer.finish == "filter" else answer.finish


def _usage(answer: Answer, made: int) -> dict[str, Any]:
    return {"PromptTokens": answer.input_tokens, "CompletionTokens": made, "TotalTokens": answer.input_tokens + made}


def _whole(service: _Service, model: str, answer: Answer) -> dict[str, Any]:
    message = {"Role": "assistant", "Content": answer.text}
    choice = {"Index": 0, "Message": message, "FinishReason": _finish(answer, service)}
    head = {"Note": NOTE} if service.name == "hunyuan" else {"Model": model, "Object": "chat.completion"}
    usage: dict[str, Any] = _usage(answer, answer.output_tokens)
    if answer.cached_tokens:
        usage["PromptTokensDetails"] = {"CachedTokens": str(answer.cached_tokens)}
    return {**head, "Id": "emulated", "Created": 1_750_000_000, "Choices": [choice], "Usage": usage}


def _hunyuan(answer: Answer, service: _Service) -> Iterator[Frame]:
    """Hunyuan's events: each counts what was made so far."""

    def event(text: str, finish: str, made: int) -> bytes:
        choice = {"FinishReason": finish, "Delta": {"Role": "assistant", "Content": text}}
        head = {"Note": NOTE, "Choices": [choice], "Created": 1_750_000_000, "Id": "emulated"}
        return f"data: {json.dumps({**head, 'Usage': _usage(answer, made)}, ensure_ascii=False)}\n\n".encode()

    for n, piece in enumerate(answer.pieces, 1):
        yield Frame(data=event(piece, "", n), tokens=1)
    yield Frame(data=event("", _finish(answer, service), answer.output_tokens))


def _lkeap(answer: Answer, service: _Service, model: str) -> Iterator[Frame]:
    """The knowledge engine's events: no space after `data:`, nothing counted until the end, and `[DONE]`."""

    def event(delta: Mapping[str, str], finish: str, into: int, out: int) -> bytes:
        head = {"Choices": [{"Delta": delta, "FinishReason": finish, "Index": 0}], "Created": 1_750_000_000}
        usage = {"InputTokens": into, "OutputTokens": out, "TotalTokens": into + out}
        body = {**head, "Id": "emulated", "Model": model, "Object": "chat.completion.chunk", "Usage": usage}
        return f"data:{json.dumps(body, ensure_ascii=False)}\n\n".encode()

    yield Frame(data=event({"Role": "assistant"}, "", 0, 0))
    for piece in answer.pieces:
        yield Frame(data=event({"Content": piece}, "", 0, 0), tokens=1)
    yield Frame(data=event({}, _finish(answer, service), answer.input_tokens, answer.output_tokens))
    yield Frame(data=b"data:[DONE]\n\n")


emulator = Emulator(title="Tencent Cloud", vendor=_Tencent, model="hunyuan-turbos-latest")
