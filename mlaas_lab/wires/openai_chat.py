"""OpenAI's chat completions: what vLLM, `transformers serve`, gateways and half of the vendors speak.

Usage arrives in a stream only when `stream_options` asks for it, in any chunk, and the last one counts. The end mark is
a finish reason or `[DONE]`: `transformers serve` sends no `[DONE]`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import fault, refuse, said
from mlaas_lab.wires._json import Whole, characters
from mlaas_lab.wires._streamed import Streamed


def _body(prompt: Prompt, params: Params, stream: bool, *, limit: str) -> JSON:
    body: dict[str, Any] = {
        "model": prompt.model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
        limit: params.max_tokens,
    }
    if params.temperature is not None:
        body["temperature"] = params.temperature
    if params.top_p is not None:
        body["top_p"] = params.top_p
    if params.seed is not None:
        body["seed"] = params.seed
    if params.stop:
        body["stop"] = params.stop
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    if not isinstance(data, dict) or "choices" not in data or data.get("error"):
        refuse(data)
    choice = data["choices"][0]
    text, finish = _text(choice["message"]), choice.get("finish_reason")
    return _ending(finish, data, data.get("usage"), characters(text))


class _Chunks:
    """What the chunks of a stream say."""

    ended = False
    """Usage may follow the finish reason; only `[DONE]` is the end."""

    def __init__(self) -> None:
        self._finish: str | None = None
        self._usage: Any = None
        self._model: Any = None
        self._id: Any = None

    @property
    def complete(self) -> bool:
        """A finish reason was read."""
        return self._finish is not None

    def event(self, data: Any) -> str:
        """The text in one chunk."""
        if "choices" not in data or data.get("error"):
            refuse(data)
        if usage := data.get("usage"):
            self._usage = usage
        self._model = data.get("model") or self._model
        self._id = self._id or data.get("id")
        choices = data.get("choices")
        if not choices:
            return ""
        choice = choices[0]
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta")
        return _text(delta) if delta else ""

    def ending(self, text: str) -> Ending:
        """The end of the answer."""
        return _ending(self._finish, {"model": self._model, "id": self._id}, self._usage, text)


def _reader(stream: bool) -> Reader:
    return Streamed(_Chunks(), said, done_ends=True) if stream else Whole(_whole)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return message.get("refusal") or ""


def _ending(finish: Any, data: Mapping[str, Any], usage: Any, text: str) -> Ending:
    model, name = data.get("model"), data.get("id")
    if finish == "content_filter":
        raise filtered(_usage(usage), code="content_filter")
    if finish == "error":
        raise Faulted(Fault(message="the vendor ended the answer with an error", status=500))
    return Ending(
        finish_reason=str(finish) if finish else None,
        usage=_usage(usage),
        model=str(model) if model else None,
        response_id=str(name) if name else None,
        text=text,
    )


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    into, out = data.get("prompt_tokens_details"), data.get("completion_tokens_details")
    return Usage(
        input_tokens=count(data.get("prompt_tokens")),
        output_tokens=count(data.get("completion_tokens")),
        cached_tokens=count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        cache_write_tokens=count(into.get("cache_write_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=count(out.get("reasoning_tokens")) if isinstance(out, dict) else None,
    )


def spoken(*, limit: str = "max_tokens") -> Wire:
    """This wire as one vendor speaks it; `limit` is the name of the field for the most tokens of an answer."""
    return Wire(body=partial(_body, limit=limit), reader=_reader, fault=fault)


wire = spoken()
