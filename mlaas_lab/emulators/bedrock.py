"""Amazon Bedrock: Converse and ConverseStream under an API key or a signature, and the OpenAI-compatible door beside.

Real events carry a key `p` with padding, so that their size tells nothing; it is here too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply, practice_key
from mlaas_lab.emulators._eventstream import event
from mlaas_lab.emulators._openai_chat import Chat
from mlaas_lab.emulators._sigv4 import Denied, verify

API_KEY = "AWS_BEARER_TOKEN_BEDROCK"
MANTLE = "/v1/chat/completions"
PATH = re.compile(r"/model/(?P<model>[^/]{1,2048})/converse(?P<stream>-stream)?")
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "ThrottlingException"),
    "overloaded": (503, "ServiceUnavailableException"),
    "auth": (403, "AccessDeniedException"),
    "not_found": (404, "ResourceNotFoundException"),
    "invalid": (400, "ValidationException"),
}
STOPS = {"stop": "end_turn", "length": "max_tokens", "filter": "content_filtered"}
KNOWN = frozenset(
    {
        *("messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields"),
        *("promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig"),
        *("serviceTier", "outputConfig"),
    }
)
LIMITS: Mapping[str, tuple[float, float]] = {"maxTokens": (1, 2**31), "temperature": (0, 1), "topP": (0, 1)}
"""Field of `inferenceConfig` → its range."""
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(kw_only=True)
class Bedrock:
    """The runtime of one region, or of any."""

    region: str | None = None
    mantle: Chat = field(default_factory=lambda: Chat(key=API_KEY))

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The reply of Converse, ConverseStream or the OpenAI-compatible door."""
        if asked.path == MANTLE:
            return self.mantle.answer(asked, mind)
        found = PATH.fullmatch(asked.path)
        if found is None or asked.method != "POST":
            raise Refusal("not_found", "Could not resolve the resource.")
        self._authenticate(asked)
        model = unquote(found["model"])
        answer = mind(_question(model, _checked(asked)))
        if found["stream"]:
            return _streamed(asked, model, answer)
        return _json(asked, _whole(answer, STOPS[answer.finish]), model=model, answer=answer)

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """AWS' words: the kind in a header, with an address behind it that nobody needs."""
        if asked.path == MANTLE:
            return self.mantle.refusal(refusal, asked)
        if refusal.kind == "filtered":
            return _guarded(asked)
        status, code = STATUSES[refusal.kind]
        if isinstance(refusal, Denied):
            code = refusal.code
        kind = {"x-amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
        return _json(asked, {"message": refusal.message}, status=status, headers=kind)

    def _authenticate(self, asked: Asked) -> None:
        sent = asked.headers.get("Authorization", "")
        if not sent.startswith("Bearer "):
            verify(asked, service="bedrock", region=self.region)
        elif sent != f"Bearer {practice_key(API_KEY)}":
            raise Refusal("auth", f"Authentication failed: {sent.removeprefix('Bearer ')} is not a valid API key.")


def _checked(asked: Asked) -> dict[str, Any]:
    """The body, if Converse would take it."""
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise Refusal("invalid", "Unable to parse the request body as JSON.") from None
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise Refusal("invalid", "A conversation must start with a user message.")
    if unknown := sorted(set(body) - KNOWN):
        raise Refusal("invalid", f"Malformed input request: extraneous key [{unknown[0]}] is not permitted.")
    before = "assistant"
    for n, message in enumerate(body["messages"]):
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise Refusal("invalid", f"Value '{role}' at 'messages.{n}.role' must satisfy enum value set.")
        if role == before:
            raise Refusal("invalid", "A conversation must alternate between user and assistant roles.")
        before = role
        _texts(message.get("content"), f"messages.{n}.content")
    _texts(body.get("system", []), "system", least=0)
    _sampled(body.get("inferenceConfig", {}))
    return body


def _texts(content: Any, where: str, *, least: int = 1) -> None:
    if not isinstance(content, list) or len(content) < least:
        raise Refusal("invalid", f"The content field at {where} is empty. Add a ContentBlock object and try again.")
    for n, block in enumerate(content):
        if not isinstance(block, dict) or len(block) != 1:
            raise Refusal("invalid", f"The ContentBlock object at {where}.{n} must set one key.")
        if "text" in block and not (isinstance(block["text"], str) and block["text"].strip()):
            raise Refusal("invalid", f"The text field in the ContentBlock object at {where}.{n} is blank.")


def _sampled(config: Any) -> None:
    known = {*LIMITS, "stopSequences"}
    if not isinstance(config, dict) or set(config) - known:
        raise Refusal("invalid", f"inferenceConfig knows {', '.join(sorted(known))}.")
    for name, (least, most) in LIMITS.items():
        value = config.get(name, least)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value <= most or (name == "maxTokens" and value != int(value)):
            raise Refusal("invalid", f"Value '{value}' at 'inferenceConfig.{name}' failed to satisfy constraint.")
    stops = config.get("stopSequences", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise Refusal("invalid", "Value at 'inferenceConfig.stopSequences' failed to satisfy constraint.")


def _question(model: str, body: Mapping[str, Any]) -> Question:
    config = body.get("inferenceConfig", {})
    system = [("system", _text([block])) for block in body.get("system", [])]
    turns = [(str(message["role"]), _text(message["content"])) for message in body["messages"]]
    return Question(
        model=model,
        turns=(*system, *turns),
        max_tokens=config.get("maxTokens"),
        temperature=config.get("temperature"),
    )


def _text(blocks: list[dict[str, Any]]) -> str:
    return "".join(str(block.get("text", "")) for block in blocks)


def _usage(answer: Answer) -> dict[str, Any]:
    """What was read from the cache is beside the input, not in it; Bedrock also says it under another name."""
    return {
        "inputTokens": answer.input_tokens - answer.cached_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens,
        "cacheReadInputTokens": answer.cached_tokens,
        "cacheWriteInputTokens": 0,
        "cacheReadInputTokenCount": answer.cached_tokens,
        "cacheWriteInputTokenCount": 0,
        "serverToolUsage": {},
    }


def _whole(answer: Answer, stop: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": answer.text}]}
    return {
        "metrics": {"latencyMs": 1},
        "output": {"message": message},
        "stopReason": stop,
        "usage": _usage(answer),
    }


def _events(answer: Answer, stop: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    yield "messageStart", {"role": "assistant"}, 0
    for piece in answer.pieces:
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}, 1
    yield "contentBlockStop", {"contentBlockIndex": 0}, 0
    yield "messageStop", {"stopReason": stop}, 0
    yield "metadata", {"metrics": {"latencyMs": 1}, "usage": _usage(answer)}, 0


def _streamed(asked: Asked, model: str, answer: Answer, stop: str = "") -> Reply:
    frames = []
    for n, (kind, data, tokens) in enumerate(_events(answer, stop or STOPS[answer.finish])):
        padded = json.dumps({**data, "p": PADDING[: 7 + n % 40]}, ensure_ascii=False).encode()
        frames.append(Frame(data=event(kind, padded), tokens=tokens))
    headers = {"Content-Type": "application/vnd.amazon.eventstream", **_ids(asked)}
    return Reply(headers=headers, frames=frames, model=model, answer=answer)


def _guarded(asked: Asked) -> Reply:
    """What a guardrail says in place of an answer: with HTTP 200, and nothing that the model would be paid for."""
    said = Answer(pieces=("Sorry, this cannot be answered.",), input_tokens=0, output_tokens=0)
    if asked.path.endswith("-stream"):
        return _streamed(asked, "", said, "guardrail_intervened")
    return _json(asked, _whole(said, "guardrail_intervened"))


def _json(asked: Asked, data: Any, *, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
    body = json.dumps(data, ensure_ascii=False).encode()
    tokens = more["answer"].output_tokens if more.get("answer") else 0
    said = {"Content-Type": "application/json", **_ids(asked), **(headers or {})}
    return Reply(headers=said, frames=[Frame(data=body, tokens=tokens)], **more)


def _ids(asked: Asked) -> dict[str, str]:
    return {"x-amzn-RequestId": f"00000000-0000-4000-8000-{int(asked.at * 1e6) % 16**12:012x}"}


emulator = Emulator(
    title="Amazon Bedrock",
    vendor=Bedrock,
    model="eu.anthropic.claude-haiku-4-5-20251001-v1:0",
    target="region=eu-central-1",
)
