"""Google's generateContent, from its discovery document and its API reference: what the Gemini API and Vertex share."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from mlaas_lab.emulators import Answer, Asked, Frame, Kind, Mind, Question, Refusal, Reply

Fields = Mapping[str, "Fields | None"]
"""Name of a field → the fields in it, or in each of its items; None: nobody looks."""
PART: Fields = dict.fromkeys(
    (
        *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
        *("codeExecutionResult", "thought", "thoughtSignature", "videoMetadata", "mediaResolution"),
    )
)
CONTENT: Fields = {"role": None, "parts": PART}
CONFIG: Fields = dict.fromkeys(
    (
        *("candidateCount", "stopSequences", "maxOutputTokens", "temperature", "topP", "topK", "seed"),
        *("presencePenalty", "frequencyPenalty", "responseMimeType", "responseSchema", "responseJsonSchema"),
        *("responseLogprobs", "logprobs", "responseModalities", "speechConfig", "thinkingConfig", "imageConfig"),
        *("mediaResolution", "audioTimestamp", "routingConfig", "enableAffectiveDialog"),
    )
)
REQUEST: Fields = {
    "contents": CONTENT,
    "systemInstruction": CONTENT,
    "generationConfig": CONFIG,
    **dict.fromkeys(("safetySettings", "tools", "toolConfig", "cachedContent")),
}
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "RESOURCE_EXHAUSTED"),
    "overloaded": (503, "UNAVAILABLE"),
    "auth": (401, "UNAUTHENTICATED"),
    "not_found": (404, "NOT_FOUND"),
    "invalid": (400, "INVALID_ARGUMENT"),
}
"""Kind of refusal → HTTP status and Google's; what is filtered is no error."""
FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}
RPC = "type.googleapis.com/google.rpc."
WAIT = "0.05s"
"""How long somebody who came too often is asked to wait: the vendor says seconds."""


class Denied(Refusal):
    """A refusal with a reason and a status of its own."""

    def __init__(self, kind: Kind, message: str, *, reason: str, status: tuple[int, str]) -> None:
        super().__init__(kind, message)
        self.reason = reason
        self.status = status


def generated(asked: Asked, mind: Mind, *, model: str, stream: bool, fields: Fields = REQUEST) -> Reply:
    """The answer of `model` to a request that may hold `fields`."""
    body = checked(asked, fields)
    config = body.get("generationConfig") or {}
    system = body.get("systemInstruction")
    contents = [{**system, "role": "system"}] if system else []
    turns = tuple((str(one.get("role", "user")), _text(one)) for one in [*contents, *body["contents"]])
    limit, temperature = config.get("maxOutputTokens"), config.get("temperature")
    answer = mind(Question(model=model, turns=turns, max_tokens=limit, temperature=temperature))
    sent = list(_chunks(model, answer)) if stream else [(_whole(model, answer), answer.output_tokens)]
    return written(asked, sent, stream=stream, model=model, answer=answer)


def written(asked: Asked, sent: Sequence[tuple[dict[str, Any], int]], *, stream: bool, **more: Any) -> Reply:
    """`sent`, with the tokens in each, as Google writes it: one object, events, or an array of objects."""
    ids = {"Vary": "Origin, X-Origin, Referer", "Server": "scaffolding on HTTPServer2"}
    if stream and "alt=sse" in asked.query.split("&"):
        events = [(b"data: " + json.dumps(one, ensure_ascii=False).encode() + b"\r\n\r\n", n) for one, n in sent]
        frames = [Frame(data=data, tokens=n) for data, n in events]
        return Reply(headers={"Content-Type": "text/event-stream", **ids}, frames=frames, **more)
    found: Any = [one for one, _ in sent] if stream else sent[0][0]
    data = json.dumps(found, ensure_ascii=False, indent=2).encode()
    frame = Frame(data=data, tokens=sum(n for _, n in sent))
    return Reply(headers={"Content-Type": "application/json; charset=UTF-8", **ids}, frames=[frame], **more)


def refused(refusal: Refusal, *, listed: bool = False) -> Reply:
    """A refusal in Google's form; some servers put it in a list."""
    status, name = refusal.status if isinstance(refusal, Denied) else STATUSES[refusal.kind]
    details: list[dict[str, Any]] = []
    if isinstance(refusal, Denied):
        details = [{"@type": f"{RPC}ErrorInfo", "reason": refusal.reason, "domain": "googleapis.com"}]
    elif refusal.kind == "rate_limited":
        quota = {"quotaMetric": "generate_content_requests", "quotaId": "GenerateRequestsPerMinute"}
        details = [
            {"@type": f"{RPC}QuotaFailure", "violations": [quota]},
            {"@type": f"{RPC}RetryInfo", "retryDelay": WAIT},
        ]
    elif refusal.kind == "invalid":
        details = [{"@type": f"{RPC}BadRequest", "fieldViolations": [{"description": refusal.message}]}]
    error = {"error": {"code": status, "message": refusal.message, "status": name, "details": details}}
    data = json.dumps([error] if listed else error, indent=2).encode()
    return Reply(status=status, headers={"Content-Type": "application/json; charset=UTF-8"}, frames=[Frame(data=data)])


def blocked(asked: Asked, *, stream: bool, model: str) -> Reply:
    """The answer to a prompt that the filter did not let through: no error, no candidate, and the prompt is billed."""
    try:
        n = sum(len(_text(one).split()) for one in json.loads(asked.body)["contents"])
    except (ValueError, LookupError, TypeError, AttributeError):
        n = 0
    said = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": n, "totalTokenCount": n},
        "modelVersion": model,
    }
    return written(
        asked, [(said, 0)], stream=stream, model=model, answer=Answer(pieces=(), input_tokens=n, output_tokens=0)
    )


def checked(asked: Asked, fields: Fields) -> dict[str, Any]:
    """The body of a request, with the names of JSON; Google takes those of its protocol buffers too."""
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise Refusal("invalid", "Invalid JSON payload received. Unexpected token.") from None
    if not isinstance(body, dict):
        raise Refusal("invalid", "Invalid JSON payload received. Root element must be a message.")
    found: dict[str, Any] = _known(body, fields, "")
    contents = found.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Refusal("invalid", "* GenerateContentRequest.contents: contents is not specified")
    for content in contents:
        if content.get("role", "user") not in ("user", "model"):
            raise Refusal("invalid", "Please use a valid role: user, model.")
        if not content.get("parts"):
            raise Refusal("invalid", "Unable to submit request because it must have at least one parts field.")
    _check_config(found.get("generationConfig") or {})
    return found


def _known(value: Any, fields: Fields | None, where: str) -> Any:
    """`value` with every name in it known."""
    if fields is None:
        return value
    if isinstance(value, list):
        return [_known(one, fields, f"{where}[{n}]") for n, one in enumerate(value)]
    if not isinstance(value, dict):
        raise Refusal("invalid", f"Invalid value at '{where}', {json.dumps(value)}")
    found: dict[str, Any] = {}
    for sent, inner in value.items():
        name = re.sub(r"_([a-z])", lambda match: match[1].upper(), sent)
        if name not in fields:
            at = f" at '{where}'" if where else ""
            raise Refusal("invalid", f'Invalid JSON payload received. Unknown name "{sent}"{at}: Cannot find field.')
        found[name] = _known(inner, fields[name], f"{where}.{sent}" if where else sent)
    return found


def _check_config(config: Mapping[str, Any]) -> None:
    limit, temperature = config.get("maxOutputTokens", 1), config.get("temperature", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refusal("invalid", f"Unable to submit request because it has a maxOutputTokens value of {limit}.")
    if not _number(temperature) or not 0 <= temperature <= 2:
        raise Refusal(
            "invalid",
            f"Unable to submit request because it has a temperature value of {temperature} but the "
            "supported range is from 0 (inclusive) to 2 (inclusive).",
        )


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(content: Mapping[str, Any]) -> str:
    return "".join(str(part.get("text", "")) for part in content.get("parts") or ())


def _usage(answer: Answer) -> dict[str, Any]:
    """Google's counts: cached within the prompt's, thoughts beside the candidates'; a count of 0 is left out."""
    counts = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens - answer.reasoning_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
        "cachedContentTokenCount": answer.cached_tokens,
        "thoughtsTokenCount": answer.reasoning_tokens,
    }
    return {**{name: n for name, n in counts.items() if n}, "trafficType": "ON_DEMAND"}


def _candidate(parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"role": "model", "parts": parts}} if parts else {}
    return {**found, **({"finishReason": finish} if finish else {}), "index": 0}


def _response(model: str, candidate: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "emulated"}


def _thought(answer: Answer) -> list[dict[str, Any]]:
    return [{"text": "Hm.", "thought": True}] if answer.reasoning_tokens else []


def _whole(model: str, answer: Answer) -> dict[str, Any]:
    # What a filter withholds is not even shown in part.
    parts = [] if answer.finish == "filter" else [*_thought(answer), {"text": answer.text}]
    return _response(model, _candidate(parts, FINISHES[answer.finish]), _usage(answer))


def _chunks(model: str, answer: Answer) -> Iterator[tuple[dict[str, Any], int]]:
    early = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens}
    if thought := _thought(answer):
        yield _response(model, _candidate(thought, None), early), answer.reasoning_tokens
    last = len(answer.pieces) - 1 if answer.finish != "filter" else len(answer.pieces)
    for piece in answer.pieces[:last]:
        yield _response(model, _candidate([{"text": piece}], None), early), 1
    rest = [{"text": piece} for piece in answer.pieces[last:]]
    yield _response(model, _candidate(rest, FINISHES[answer.finish]), _usage(answer)), len(rest)
