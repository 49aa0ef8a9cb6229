"""OpenAI's chat completions: what vLLM, `transformers serve`, gateways and half of the vendors speak.

Usage arrives in a stream only when `stream_options` asks for it, in any chunk, and the last one counts. The end mark is
a finish reason or `[DONE]`: `transformers serve` sends no `[DONE]`.
"""

import json
from typing import Any

import orjson

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Delta, Ending, Fault, Faulted, Params, Prompt, Reader, Wire
from mlaas_lab.wires._sse import Events

MOST_BYTES = 16 * 2**20
"""An answer that is larger, or one event of it, is nobody's text."""
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a stream of events may begin."""


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:
    body: dict[str, Any] = {
        "model": prompt.model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
        "max_tokens": params.max_tokens,
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


class _Whole:
    """Reads an answer that comes in one piece."""

    ended = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        self._size_bytes += len(chunk)
        if self._size_bytes > MOST_BYTES:
            raise ProviderBug(f"the answer is larger than {MOST_BYTES} bytes.")
        self._parts.append(chunk)
        return ()

    def close(self) -> Ending:
        body = b"".join(self._parts).strip()
        try:
            data = _loads(body)
        except ValueError:
            if body[:1] in (b"", b"{"):
                raise Truncated(f"the answer ended after {len(body)} bytes, before its end.") from None
            raise ProviderBug(f"the answer is not JSON: {_excerpt(body)}.") from None
        if not isinstance(data, dict) or "choices" not in data or data.get("error"):
            _refuse(data)
        try:
            choice = data["choices"][0]
            text, finish, usage = _text(choice["message"]), choice.get("finish_reason"), data.get("usage")
            return _ending(finish, usage, data.get("model"), _characters(text))
        except (LookupError, TypeError, AttributeError):
            raise ProviderBug(f"the answer has no choices[0].message: {_excerpt(body)}.") from None


class _Streamed:
    """Reads an answer that comes as events."""

    def __init__(self) -> None:
        self.ended = False
        self._events = Events()
        self._finish: str | None = None
        self._usage: Any = None
        self._model: Any = None
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
        if rest:
            self._last(rest)
        if not self.ended and self._finish is None:
            self._explain()
        return _ending(self._finish, self._usage, self._model, "")

    def _last(self, data: bytes) -> None:
        """An event that nothing ended: whole, or the answer is not."""
        try:
            _loads(data) if data != b"[DONE]" else None
        except ValueError:
            raise Truncated("the stream broke off within an event.") from None
        self._read(data)

    def _read(self, data: bytes) -> str:
        """The text of one event."""
        if data == b"[DONE]" or self.ended:
            self.ended = True
            return ""
        try:
            event = _loads(data)
        except ValueError:
            # transformers serve writes an error's text into its JSON unescaped.
            if data.startswith(b'{"error"'):
                raise Faulted(Fault(message=_excerpt(data), status=500)) from None
            raise ProviderBug(f"an event of the stream is not JSON: {_excerpt(data)}.") from None
        try:
            if "choices" not in event or event.get("error"):
                _refuse(event)
            if usage := event.get("usage"):
                self._usage = usage
            self._model = event.get("model") or self._model or ""
            choices = event.get("choices")
            return self._choice(choices[0]) if choices else ""
        except (LookupError, TypeError, AttributeError):
            raise ProviderBug(f"an event of the stream is not a chat completion's: {_excerpt(data)}.") from None

    def _choice(self, choice: dict[str, Any]) -> str:
        if finish := choice.get("finish_reason"):
            self._finish = finish
        delta = choice.get("delta")
        text = _text(delta) if delta else ""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return _characters(text.removesuffix(self._half))

    def _explain(self) -> None:
        """There was no end mark: say what came instead."""
        head = self._head.strip()
        if self._model is None and not any(head.startswith(f) or f.startswith(head) for f in FIELDS):
            try:
                data = _loads(head)
            except ValueError:
                data = None
            _refuse(data)
            raise ProviderBug(f"the answer is not a stream of events: {_excerpt(head)}.")
        raise Truncated("the stream ended before its end mark.")


def _reader(stream: bool) -> Reader:
    return _Streamed() if stream else _Whole()


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # It refuses halves of surrogate pairs, which some vendors send.
        if b"\\ud" not in data.lower():
            raise
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _characters(text: str) -> str:
    """`text` with surrogate pairs joined and single halves replaced, so that it can be written as UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return message.get("refusal") or ""


def _ending(finish: Any, usage: Any, model: Any, text: str) -> Ending:
    if finish == "content_filter":
        raise ContentFiltered("the vendor's filter withheld the answer or its end.", code="content_filter")
    if finish == "error":
        raise Faulted(Fault(message="the vendor ended the answer with an error", status=500))
    return Ending(
        finish_reason=str(finish) if finish else None,
        usage=_usage(usage),
        model=str(model) if model else None,
        text=text,
    )


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    into, out = data.get("prompt_tokens_details"), data.get("completion_tokens_details")
    return Usage(
        input_tokens=_count(data.get("prompt_tokens")),
        output_tokens=_count(data.get("completion_tokens")),
        cached_tokens=_count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        cache_write_tokens=_count(into.get("cache_write_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=_count(out.get("reasoning_tokens")) if isinstance(out, dict) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _refuse(data: Any) -> None:
    """Raise Faulted if `data` is an error, whatever the HTTP status said."""
    if isinstance(data, dict) and (fault := _said(data)):
        raise Faulted(fault)


def _fault(body: bytes) -> Fault:
    try:
        data = _loads(body)
    except ValueError:
        data = None
    return _said(data) or Fault(message=_excerpt(body))


def _said(data: Any, *, depth: int = 4) -> Fault | None:
    """The error in `data`, in the forms that servers of this wire have been seen to use."""
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict) or depth == 0:
        return None
    for name in ("error", "errors", "detail"):
        inner = data.get(name)
        if isinstance(inner, str) and inner:
            return Fault(message=inner)
        if inner and (fault := _said(inner, depth=depth - 1)):
            return fault
    message = data.get("message") or data.get("error_msg") or data.get("msg")
    if not message:
        return None
    code = data.get("code") or data.get("error_code") or data.get("type")
    word = None if code is None else str(code)
    status = int(word) if word and word.isdecimal() and 400 <= int(word) < 600 else None
    return Fault(message=str(message), code=word, status=status)


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:200].decode(errors="replace").split())
    return repr(text) if text else "it is empty"


wire = Wire(body=_body, reader=_reader, fault=_fault)
