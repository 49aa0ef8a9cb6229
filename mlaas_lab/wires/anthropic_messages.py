"""Anthropic's messages: the system's words apart, blocks of content, events that say their type.

Input tokens are counted without those that the cache gave or took, so the three are added. Output tokens include
thinking and are cumulative in `message_delta`. The end mark is `message_stop`. Version 2026-10-21 of the API has no
temperature: it refuses a request that holds one, whatever its value.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import said as _said
from mlaas_lab.wires._json import Whole, characters, excerpt, loads
from mlaas_lab.wires._streamed import Streamed

FILTERED = "content filtering policy"
"""Words of the one `invalid_request_error` that is the filter's; it has no code of its own."""


def _body(prompt: Prompt, params: Params, stream: bool, *, sampling: bool) -> JSON:
    body: dict[str, Any] = {
        "model": prompt.model,
        "max_tokens": params.max_tokens,
        "messages": [{"role": m.role, "content": m.content} for m in prompt.messages if m.role != "system"],
    }
    system = [message.content for message in prompt.messages if message.role == "system"]
    if system:
        body["system"] = "\n\n".join(system)
    # What somebody asked for is sent even where there is no such field: to be refused is better than to be ignored.
    # Temperature 0 is everybody's default, and the nearest thing to it is to say nothing.
    temperature = params.temperature if sampling or params.temperature != 0 else None
    more = {"temperature": temperature, "top_p": params.top_p, "seed": params.seed}
    body |= {name: value for name, value in more.items() if value is not None}
    if params.stop:
        body["stop_sequences"] = params.stop
    if stream:
        body["stream"] = True
    return body


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    if "content" not in data:
        _refuse(data)
    text = "".join(block["text"] for block in data["content"] if block["type"] == "text")
    return _ending(data["stop_reason"], data.get("usage") or {}, data.get("model"), characters(text))


class _Meaning:
    """What Anthropic's events say."""

    def __init__(self) -> None:
        self.ended = self.complete = False
        self._usage: dict[str, Any] = {}
        self._model: Any = None
        self._finish: Any = None

    def event(self, data: Any) -> str:
        kind = data.get("type")
        if kind == "content_block_delta":
            delta = data["delta"]
            return str(delta["text"]) if delta["type"] == "text_delta" else ""
        if kind == "content_block_start":
            block = data["content_block"]
            return str(block["text"]) if block["type"] == "text" else ""
        if kind == "message_start":
            self._model = data["message"].get("model")
            self._counted(data["message"].get("usage"))
        elif kind == "message_delta":
            self._finish = data["delta"].get("stop_reason") or self._finish
            self._counted(data.get("usage"))
        elif kind == "message_stop":
            self.ended = self.complete = True
        elif kind == "error" or "error" in data:
            _refuse(data)
        # Others come and go: ping, content_block_stop, and those that are not invented yet.
        return ""

    def ending(self, text: str) -> Ending:
        return _ending(self._finish, self._usage, self._model, text)

    def _counted(self, usage: Any) -> None:
        """What a later event says wins; what it leaves out stays."""
        if usage:
            self._usage |= {name: value for name, value in usage.items() if value is not None}


def _reader(stream: bool) -> Reader:
    return Streamed(_Meaning(), said) if stream else Whole(_whole)


def _ending(finish: Any, usage: Mapping[str, Any], model: Any, text: str) -> Ending:
    if finish == "refusal":
        raise filtered(_usage(usage), code="refusal")
    return Ending(
        finish_reason=str(finish) if finish else None,
        usage=_usage(usage),
        model=str(model) if model else None,
        text=text,
    )


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    plain, read = count(data.get("input_tokens")), count(data.get("cache_read_input_tokens"))
    written = count(data.get("cache_creation_input_tokens"))
    details = data.get("output_tokens_details")
    return Usage(
        input_tokens=None if plain is None else plain + (read or 0) + (written or 0),
        output_tokens=count(data.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )


def said(data: Any) -> Fault | None:
    """The error in `data`, or None: its code is the one in its details, or else its type."""
    found = _said(data)
    if found is None:
        return None
    error = data.get("error") if isinstance(data, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    if isinstance(code, str) and code:
        return replace(found, code=code)
    return replace(found, code="content_filter") if FILTERED in found.message else found


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:  # noqa: ARG001 - the body says it all
    """What the body of an HTTP error says."""
    try:
        data = loads(body)
    except ValueError:
        data = None
    return said(data) or Fault(message=excerpt(body))


def _refuse(data: Any) -> None:
    if found := said(data):
        raise Faulted(found)


def spoken(*, sampling: bool) -> Wire:
    """This wire as one version of the API speaks it; `sampling`: with a temperature."""
    return Wire(body=partial(_body, sampling=sampling), reader=_reader, fault=fault)


wire = spoken(sampling=False)
