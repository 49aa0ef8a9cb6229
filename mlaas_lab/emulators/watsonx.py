"""IBM watsonx.ai, from its published types: the token's issuer, chat, text generation, deployments of both.

IBM documents no filter for chats: what this says there is what OpenAI's gateways say.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply
from mlaas_lab.emulators import _iam as iam
from mlaas_lab.emulators._openai_chat import json_reply, text

WAYS = re.compile(r"/ml/v1(?:/deployments/(?P<deployment>[^/]+))?/text/(?P<verb>chat|generation)(?P<stream>_stream)?")
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "rate_limit_reached_requests"),
    "overloaded": (503, "service_unavailable"),
    "filtered": (400, "content_filter"),
    "auth": (401, "authentication_token_not_valid"),
    "not_found": (404, "model_not_supported"),
    "invalid": (400, "invalid_input_argument"),
}
"""Kind of refusal → HTTP status and code."""
PLACE = frozenset({"model_id", "project_id", "space_id"})
CHAT = frozenset(
    {
        *("messages", "tools", "tool_choice", "tool_choice_option", "frequency_penalty", "presence_penalty"),
        *("logit_bias", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens", "n", "response_format"),
        *("seed", "stop", "temperature", "top_p", "time_limit", "repetition_penalty", "length_penalty"),
        *("include_reasoning", "reasoning_effort", "chat_template_kwargs"),
        *("guided_choice", "guided_regex", "guided_grammar", "guided_json"),
    }
)
GENERATION = frozenset({"input", "parameters", "moderations"})
PARAMETERS = frozenset(
    {
        *("decoding_method", "length_penalty", "max_new_tokens", "min_new_tokens", "random_seed", "stop_sequences"),
        *("temperature", "time_limit", "top_k", "top_p", "repetition_penalty", "truncate_input_tokens"),
        *("return_options", "include_stop_sequence", "prompt_variables"),
    }
)
ROLES = ("system", "developer", "user", "assistant", "tool")
MADE = {"created": 1_750_000_000, "created_at": "2025-06-15T15:06:40.000Z"}
CHAT_FINISH = {"stop": "stop", "length": "length", "filter": "content_filter"}
STOP = {"stop": "eos_token", "length": "max_tokens", "filter": "eos_token"}


@dataclass(kw_only=True)
class Watsonx:
    """One service with its issuer."""

    issuer: iam.Issuer = field(default_factory=lambda: iam.Issuer(key="WATSONX_APIKEY"))

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The reply to `asked`: a token, a project, or the model's answer."""
        if asked.path == iam.PATH:
            return self.issuer.issue(asked)
        if found := re.fullmatch(r"/v2/projects/([^/]+)", asked.path):
            self.issuer.verify(asked)
            return json_reply(_project(found[1]))
        way = WAYS.fullmatch(asked.path)
        if asked.method != "POST" or way is None:
            raise Refusal("not_found", f"{asked.method} {asked.path} is not served")
        self.issuer.verify(asked)
        if not re.search(r"(^|&)version=\d{4}-\d{2}-\d{2}(&|$)", asked.query):
            raise Refusal("invalid", "The query parameter 'version' is required and must be a date as YYYY-MM-DD.")
        body = _object(asked)
        model = _model(body, way["deployment"])
        asks, replies = (_chat, _chatted) if way["verb"] == "chat" else (_generation, _generated)
        answer = mind(asks(model, body, deployed=way["deployment"] is not None))
        return replies(model, answer, stream=way["stream"] is not None)

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How IBM refuses."""
        if asked.path == iam.PATH:
            return self.issuer.refused(refusal, asked)
        way = WAYS.fullmatch(asked.path)
        if refusal.kind == "filtered" and way and way["verb"] == "generation":
            return _generated("emulated", _NOTHING, stream=way["stream"] is not None, found="input")
        status, code = STATUSES[refusal.kind]
        if refusal.message == iam.EXPIRED:
            code = "authentication_token_expired"
        error = {"code": code, "message": refusal.message, "more_info": "https://cloud.ibm.com/apidocs/watsonx-ai"}
        return json_reply({"errors": [error], "trace": "emulated", "status_code": status}, status=status)


_NOTHING = Answer(pieces=(), finish="filter", input_tokens=0, output_tokens=0)


def _project(guid: str) -> dict[str, Any]:
    """What IBM's library asks before it prompts anybody."""
    instance = {"guid": "emulated", "type": "machine_learning", "crn": "crn:v1:emulated", "name": "emulated"}
    entity = {"name": "emulated", "storage": {"type": "bmcos_object_storage"}, "compute": [instance], "scope": {}}
    return {"metadata": {"guid": guid}, "entity": entity}


def _object(asked: Asked) -> dict[str, Any]:
    if asked.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise Refusal("invalid", "Content-Type must be application/json")
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise Refusal("invalid", "Json syntax error") from None
    if not isinstance(body, dict):
        raise Refusal("invalid", "Json type error: an object is expected")
    return body


def _model(body: Mapping[str, Any], deployment: str | None) -> str:
    """Whom the request names, and that somebody pays."""
    place = PLACE & set(body)
    if deployment is not None:
        if place:
            raise Refusal("invalid", f"Json document validation error: {min(place)} is not expected for a deployment")
        return f"deployments/{deployment}"
    if not isinstance(body.get("model_id"), str) or not body["model_id"]:
        raise Refusal("invalid", "Json document validation error: model_id is required")
    if len(place) != 2:
        raise Refusal("invalid", "Either space_id or project_id has to be given")
    return str(body["model_id"])


def _refuse_others(body: Mapping[str, Any], known: frozenset[str], within: str = "body") -> None:
    if unknown := sorted(set(body) - known):
        raise Refusal("invalid", f"Json document validation error: {within}.{unknown[0]} is not a known field")


def _chat(model: str, body: Mapping[str, Any], *, deployed: bool) -> Question:
    _refuse_others(body, CHAT | ({"context"} if deployed else PLACE))
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal("invalid", "Json document validation error: messages should be a non-empty list")
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES or (deployed and role == "system"):
            raise Refusal("invalid", f"Json document validation error: messages.role {role!r} is not allowed")
    turns = tuple((str(m["role"]), text(m.get("content"))) for m in messages)
    limit = body.get("max_completion_tokens", body.get("max_tokens", 1024))
    return Question(model=model, turns=turns, max_tokens=limit or None, temperature=body.get("temperature"))


def _generation(model: str, body: Mapping[str, Any], *, deployed: bool) -> Question:
    _refuse_others(body, GENERATION | (frozenset() if deployed else PLACE))
    parameters = body.get("parameters") or {}
    _refuse_others(parameters, PARAMETERS, "parameters")
    if not isinstance(body.get("input"), str):
        raise Refusal("invalid", "Json document validation error: input is required")
    if parameters.get("decoding_method", "greedy") not in ("greedy", "sample"):
        raise Refusal("invalid", "parameters.decoding_method must be one of greedy, sample")
    # The text is all there is: its last paragraph is what this one answers to.
    *before, last = body["input"].split("\n\n")
    turns = (*(("system", paragraph) for paragraph in before), ("user", last))
    return Question(
        model=model,
        turns=turns,
        max_tokens=parameters.get("max_new_tokens", 20),
        temperature=parameters.get("temperature"),
    )


def _chatted(model: str, answer: Answer, *, stream: bool) -> Reply:
    head = {"id": "chatcmpl-emulated", "model_id": model, **MADE}
    usage = {
        "completion_tokens": answer.output_tokens,
        "prompt_tokens": answer.input_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    finish = CHAT_FINISH[answer.finish]
    if not stream:
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return json_reply({**head, "choices": [choice], "usage": usage}, model=model, answer=answer)

    def events() -> Iterator[tuple[dict[str, Any], int]]:
        top = {**head, "model": model, "object": "chat.completion.chunk"}
        deltas: list[tuple[dict[str, str], str | None, int]] = [({"role": "assistant", "content": ""}, None, 0)]
        deltas += [({"content": piece}, None, 1) for piece in answer.pieces]
        for delta, reason, tokens in [*deltas, ({"content": ""}, finish, 0)]:
            yield {**top, "choices": [{"index": 0, "finish_reason": reason, "delta": delta}]}, tokens
        yield {**top, "choices": [], "usage": usage}, 0

    return _streamed(model, answer, events())


def _generated(model: str, answer: Answer, *, stream: bool, found: Literal["input", "output"] = "output") -> Reply:
    head = {"model_id": model, **MADE}
    flagged = {"score": 0.97, "input": found == "input", "position": {"start": 0, "end": 1}, "entity": "has_HAP"}
    extra = {"moderations": {"hap": [flagged]}} if answer.finish == "filter" else {}
    if not stream:
        result = {
            "generated_text": answer.text,
            "generated_token_count": answer.output_tokens,
            "input_token_count": answer.input_tokens,
            "stop_reason": STOP[answer.finish],
            **extra,
        }
        return json_reply({**head, "results": [result]}, model=model, answer=answer)

    def events() -> Iterator[tuple[dict[str, Any], int]]:
        for n, piece in enumerate(("", *answer.pieces, "")):
            last = n == len(answer.pieces) + 1
            result = {
                "generated_text": piece,
                "generated_token_count": answer.output_tokens if last else n,
                "input_token_count": 0 if n else answer.input_tokens,
                "stop_reason": STOP[answer.finish] if last else "not_finished",
                **(extra if last else {}),
            }
            yield {**head, "results": [result]}, int(bool(piece))

    return _streamed(model, answer, events())


def _streamed(model: str, answer: Answer, events: Iterator[tuple[dict[str, Any], int]]) -> Reply:
    frames = [
        Frame(data=f"id: {n}\nevent: message\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode(), tokens=tokens)
        for n, (data, tokens) in enumerate(events, 1)
    ]
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "x-requests-limit-rate": "8"}
    return Reply(headers=headers, frames=frames, model=model, answer=answer)


emulator = Emulator(
    title="IBM watsonx.ai",
    vendor=Watsonx,
    model="ibm/granite-4-h-small",
    target="project=12ac4cf1-252f-424b-b52d-5cdd9814987f",
)
