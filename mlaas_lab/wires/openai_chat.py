"""OpenAI's chat completions: what vLLM, `transformers serve`, gateways and half of the vendors speak.

Usage arrives in a stream only when `stream_options` asks for it, in any chunk, and the last one counts. The end mark is
a finish reason or `[DONE]`: `transformers serve` sends no `[DONE]`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Delta, Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import fault, refuse
from mlaas_lab.wires._json import MOST_BYTES, Whole, characters, excerpt, loads
from mlaas_lab.wires._sse import Events

FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a stream of events may begin."""


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


class _Streamed:
    """Reads an answer that comes as events."""

    def __init__(self) -> None:
        self.ended = False
        self._events = Events()
        self._finish: str | None = None
        self._usage: Any = None
        self._model: Any = None
        self._id: Any = None
        self._half = ""
        """The first half of a character that a vendor cut in two `\\u` escapes."""
        self._head = b""
        """What came before the first event, to say what it was instead."""

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        found = self._events.feed(chunk)
        if self._events.pending_bytes > MOST_BYTES:
            raise ProviderBug(f"an event of the stream is larger than {MOST_BYTES} bytes.")
        if not found:
            if self._model is None and len(self._head) < 2**16:
                self._head += chunk
            return ()
        text = "".join([self._read(data) for data in found])
        return (Delta(text),) if text else ()

    def close(self) -> Ending:
        rest = b"" if self.ended else self._events.rest()
        text = self._last(rest) if rest else ""
        if not self.ended and self._finish is None:
            self._explain()
        return _ending(self._finish, {"model": self._model, "id": self._id}, self._usage, text)

    def _last(self, data: bytes) -> str:
        """The text of an event that nothing ended: whole, or the answer is not."""
        try:
            loads(data) if data != b"[DONE]" else None
        except ValueError:
            raise Truncated("the stream broke off within an event.") from None
        return self._read(data)

    def _read(self, data: bytes) -> str:
        """The text of one event."""
        if data == b"[DONE]" or self.ended:
            self.ended = True
            return ""
        try:
            event = loads(data)
        except ValueError:
            # transformers serve writes an error's text into its JSON unescaped.
            if data.startswith(b'{"error"'):
                raise Faulted(Fault(message=excerpt(data), status=500)) from None
            raise ProviderBug(f"an event of the stream is not JSON: {excerpt(data)}.") from None
        try:
            if "choices" not in event or event.get("error"):
                refuse(event)
            if usage := event.get("usage"):
                self._usage = usage
            self._model = event.get("model") or self._model or ""
            self._id = self._id or event.get("id")
            choices = event.get("choices")
            return self._choice(choices[0]) if choices else ""
        except (LookupError, TypeError, AttributeError):
            raise ProviderBug(f"an event of the stream is not a chat completion's: {excerpt(data)}.") from None

    def _choice(self, choice: dict[str, Any]) -> str:
        if finish := choice.get("finish_reason"):
            self._finish = finish
        delta = choice.get("delta")
        text = _text(delta) if delta else ""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return characters(text.removesuffix(self._half))

    def _explain(self) -> None:
        """There was no end mark: say what came instead."""
        head = self._head.strip()
        if self._model is None and not any(head.startswith(f) or f.startswith(head) for f in FIELDS):
            try:
                data = loads(head)
            except ValueError:
                data = None
            refuse(data)
            raise ProviderBug(f"the answer is not a stream of events: {excerpt(head)}.")
        raise Truncated("the stream ended before its end mark.")


def _reader(stream: bool) -> Reader:
    return _Streamed() if stream else Whole(_whole)


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
