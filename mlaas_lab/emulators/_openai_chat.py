"""The chat completions of OpenAI, from its published specification, as the vendors that took them over serve them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Frame, Kind, Mind, Question, Refusal, Reply, practice_key, sse

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
STATUSES: Mapping[Kind, tuple[int, str, str | None]] = {
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "overloaded": (503, "server_error", None),
    "filtered": (400, "invalid_request_error", "content_filter"),
    "auth": (401, "invalid_request_error", "invalid_api_key"),
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "invalid": (400, "invalid_request_error", None),
}
"""Kind of refusal → HTTP status, type and code."""
KNOWN = frozenset(
    {
        *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream"),
        *("stream_options", "n", "user", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"),
        *("response_format", "tools", "tool_choice", "reasoning_effort", "logit_bias", "metadata", "store"),
        *("service_tier", "parallel_tool_calls"),
    }
)
"""Fields of a request; OpenAI refuses others."""


def errors(refusal: Refusal) -> Reply:
    """A refusal in OpenAI's words."""
    status, kind, code = STATUSES[refusal.kind]
    body = {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}
    return json_reply(body, status=status)


def json_reply(body: Any, *, status: int = 200, **more: Any) -> Reply:
    """A reply of one piece of JSON."""
    data = json.dumps(body, ensure_ascii=False).encode()
    tokens = more["answer"].output_tokens if more.get("answer") else 0
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    return Reply(status=status, headers=headers, frames=[Frame(data=data, tokens=tokens)], **more)


def question(model: str, body: Mapping[str, Any]) -> Question:
    """What a request asks."""
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    turns = tuple((str(m["role"]), text(m.get("content"))) for m in body["messages"])
    return Question(model=model, turns=turns, max_tokens=limit, temperature=body.get("temperature"))


def text(content: Any) -> str:
    """The text of a message's content: a string, or parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def usage(answer: Answer) -> dict[str, Any]:
    """OpenAI's counts: cached tokens are within the prompt's, reasoning is within the completion's."""
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens, "audio_tokens": 0},
    }


def head(kind: str, model: str) -> dict[str, Any]:
    """What every object begins with."""
    return {"id": "chatcmpl-emulated", "object": kind, "created": 1_750_000_000, "model": model}


def ids(asked: Asked) -> dict[str, str]:
    """The request's own id."""
    return {"x-request-id": f"req_{int(asked.at * 1e6):x}"}


@dataclass(kw_only=True)
class Chat:
    """One server of chat completions; what vendors do differently are its fields."""

    key: str | None
    """Environment variable whose practice key it takes; None: it asks for none."""
    path: str = r"/v1/chat/completions"
    """Regular expression that the whole path must match; a group `model` in it names the model."""
    header: str = "Authorization"
    scheme: str = "Bearer "
    known: frozenset[str] | None = None
    """Fields of a request; None takes any."""
    usage: Callable[[Answer], dict[str, Any]] = usage
    refused: Callable[[Refusal], Reply] = errors
    filter_finish: str = "content_filter"
    always_usage: bool = False
    """Usage stands in a stream that did not ask for it."""
    done: str = "data: [DONE]\n\n"

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The completion that `asked` is for."""
        found = re.fullmatch(self.path, asked.path)
        if asked.method != "POST" or found is None:
            raise Refusal("not_found", f"Unknown request URL: {asked.method} {asked.path}.")
        self._authenticate(asked)
        body = self._body(asked)
        model = found.groupdict().get("model") or body.get("model")
        if not isinstance(model, str) or not model:
            raise Refusal("invalid", "you must provide a model parameter")
        answer = mind(question(model, body))
        if body.get("stream"):
            frames = self._stream(model, body, answer)
            return Reply(
                headers={"Content-Type": "text/event-stream; charset=utf-8", **ids(asked)},
                frames=frames,
                model=model,
                answer=answer,
            )
        return json_reply(self._whole(model, answer), model=model, answer=answer, headers=ids(asked))

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How this vendor refuses."""
        del asked
        return self.refused(refusal)

    def _authenticate(self, asked: Asked) -> None:
        if self.key is None:
            return
        sent = asked.headers.get(self.header)
        if not sent:
            raise Refusal("auth", f"You didn't provide an API key in {self.header}.")
        if sent != f"{self.scheme}{practice_key(self.key)}":
            # Vendors repeat what was sent; so a client that shows it as it is gives a key away.
            raise Refusal("auth", f"Incorrect API key provided: {sent.removeprefix(self.scheme)}.")

    def _body(self, asked: Asked) -> dict[str, Any]:
        if asked.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise Refusal("invalid", "the body must be application/json")
        try:
            body = json.loads(asked.body)
        except ValueError:
            raise Refusal("invalid", "We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
            raise Refusal("invalid", "Invalid type for 'messages': expected an array of objects.")
        for message in body["messages"]:
            if not isinstance(message, dict) or message.get("role") not in ROLES:
                raise Refusal("invalid", f"Invalid value for 'role': one of {', '.join(ROLES)} is expected.")
        unknown = sorted(set(body) - self.known) if self.known is not None else []
        if unknown:
            raise Refusal("invalid", f"Unrecognized request argument supplied: {unknown[0]}")
        if body.get("stream_options") is not None and not body.get("stream"):
            raise Refusal("invalid", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
        return body

    def _finish(self, answer: Answer) -> str:
        return self.filter_finish if answer.finish == "filter" else answer.finish

    def _whole(self, model: str, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish(answer)}
        return {**head("chat.completion", model), "choices": [choice], "usage": self.usage(answer)}

    def _stream(self, model: str, body: Mapping[str, Any], answer: Answer) -> list[Frame]:
        counted = bool((body.get("stream_options") or {}).get("include_usage")) or self.always_usage

        def events() -> Iterator[tuple[str, int]]:
            for delta, finish, tokens in self._deltas(answer):
                choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
                chunk = {**head("chat.completion.chunk", model), "choices": [choice]}
                yield json.dumps({**chunk, **({"usage": None} if counted else {})}, ensure_ascii=False), tokens
            if counted:
                last = {**head("chat.completion.chunk", model), "choices": [], "usage": self.usage(answer)}
                yield json.dumps(last), 0

        return sse(events(), end=self.done)

    def _deltas(self, answer: Answer) -> Iterator[tuple[dict[str, Any], str | None, int]]:
        yield {"role": "assistant", "content": ""}, None, 0
        for piece in answer.pieces:
            yield {"content": piece}, None, 1
        yield {}, self._finish(answer), 0
