"""Qianfan's first version: `result` is the text, the model stands in the path, an error comes with HTTP 200.

The system's turn is a field of its own. The least temperature is above 0, and there is no seed. A stream ends with
`is_end`, whose event has the usage that counts.
"""

from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import fault, said
from mlaas_lab.wires._json import Whole, characters
from mlaas_lab.wires._streamed import Streamed

COLDEST = 0.01
"""Sent for temperature 0, which the vendor refuses: its range is above 0, up to 1."""


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:
    system = "\n".join(message.content for message in prompt.messages if message.role == "system")
    body: dict[str, Any] = {
        "messages": [
            {"role": message.role, "content": message.content}
            for message in prompt.messages
            if message.role != "system"
        ],
        "max_output_tokens": params.max_tokens,
    }
    if system:
        body["system"] = system
    if params.temperature is not None:
        body["temperature"] = max(params.temperature, COLDEST)
    if params.top_p is not None:
        body["top_p"] = params.top_p
    if params.stop:
        body["stop"] = list(params.stop)
    if stream:
        body["stream"] = True
    return body


def _refuse(data: Any) -> None:
    if isinstance(data, dict) and ("error_code" in data or "error" in data) and (found := said(data)):
        raise Faulted(found)


class _Told:
    """What the events of one stream add up to."""

    ended = False

    def __init__(self) -> None:
        self._last: Any = None
        self._usage: Any = None

    @property
    def complete(self) -> bool:
        return self._last is not None

    def event(self, data: Any) -> str:
        _refuse(data)
        text: str = data["result"]
        self._usage = data.get("usage") or self._usage
        if data.get("is_end"):
            self._last = data
        return text

    def ending(self, text: str) -> Ending:
        return _ending({**self._last, "usage": self._usage}, text)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    _refuse(data)
    return _ending(data, characters(data["result"]))


def _ending(data: dict[str, Any], text: str) -> Ending:
    finish = data.get("finish_reason")
    if not finish or finish == "normal":
        finish = "length" if data.get("is_truncated") else "stop"
    if finish == "content_filter":
        raise filtered(_usage(data.get("usage")), code=finish)
    return Ending(finish_reason=finish, usage=_usage(data.get("usage")), model=None, text=text)


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    return Usage(input_tokens=count(data.get("prompt_tokens")), output_tokens=count(data.get("completion_tokens")))


def _reader(stream: bool) -> Reader:
    return Streamed(_Told(), said) if stream else Whole(_whole)


wire = Wire(body=_body, reader=_reader, fault=fault)
