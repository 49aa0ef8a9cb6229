"""DashScope's native shape: `input`, `parameters`, and a stream in which every event counts all tokens so far.

Pieces are asked for as increments (`incremental_output`). A model that sends all its text again in every event, which
is what the vendor does unasked, is recognised by that and read right. `finish_reason` is the text "null" until the end.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mlaas_lab.errors import ProviderBug
from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import fault as any_fault
from mlaas_lab.wires._faults import said
from mlaas_lab.wires._json import Whole, characters
from mlaas_lab.wires._sse import Events
from mlaas_lab.wires._streamed import Streamed

WITHHELD = ("DataInspectionFailed", "data_inspection_failed")
"""Codes of the filter; what was made until then is billed."""
SURE_CHARACTERS = 8
"""A piece that begins with all the text so far, when that is so long, repeats it; shorter ones may do so by chance."""
STATUS = b"HTTP_STATUS/"


def _body(prompt: Prompt, params: Params, stream: bool, *, parts: bool) -> JSON:
    settings: dict[str, Any] = {"result_format": "message", "max_tokens": params.max_tokens}
    if params.temperature is not None:
        settings["temperature"] = params.temperature
    if params.top_p is not None:
        settings["top_p"] = params.top_p
    if params.seed is not None:
        settings["seed"] = params.seed
    if params.stop:
        settings["stop"] = list(params.stop)
    if stream:
        settings["incremental_output"] = True
    messages = [
        {"role": message.role, "content": [{"text": message.content}] if parts else message.content}
        for message in prompt.messages
    ]
    return {"model": prompt.model, "input": {"messages": messages}, "parameters": settings}


class _Pieces:
    """Tells increments from text that is sent again and again, and gives each character once."""

    def __init__(self) -> None:
        self._said = ""
        """What was given."""
        self._last = ""
        self._tokens: int | None = None
        self._held: list[str] = []
        """Pieces that begin with the one before, and may be either."""
        self._repeats: bool | None = None
        """None until it is sure."""

    def add(self, piece: str, tokens: int | None) -> str:
        """What `piece` adds; `tokens` counts all of the answer so far."""
        if self._repeats is None and self._last:
            self._repeats = self._judged(piece, tokens)
            if self._repeats is None:
                self._held.append(piece)
                self._last, self._tokens = piece, tokens
                return ""
        new = self._beyond(piece) if self._repeats else "".join([*self._held, piece])
        self._held = []
        self._last, self._tokens = piece or self._last, tokens
        self._said += new
        return new

    def rest(self) -> str:
        """What never became sure: increments, as was asked for."""
        return "".join(self._held)

    def _judged(self, piece: str, tokens: int | None) -> bool | None:
        if not piece.startswith(self._last):
            return False
        if piece == self._last and tokens and tokens == self._tokens:
            return True
        return True if len(self._last) >= SURE_CHARACTERS else None

    def _beyond(self, piece: str) -> str:
        if not piece.startswith(self._said):
            if self._said.startswith(piece):
                return ""
            raise ProviderBug("the vendor took back text that it had sent.")
        return piece[len(self._said) :]


class _Told:
    """What the events of one stream add up to."""

    ended = False
    comment = b""
    """The last one before the event."""

    def __init__(self) -> None:
        self._pieces = _Pieces()
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def complete(self) -> bool:
        return self._finish is not None

    def event(self, data: Any) -> str:
        if "output" not in data or data.get("code"):
            _refuse(data, self.comment, self._usage)
        usage = data.get("usage")
        self._usage = usage or self._usage
        text, finish = _said(data["output"])
        self._finish = finish or self._finish
        made = usage.get("output_tokens") if isinstance(usage, dict) else None
        return self._pieces.add(text, count(made))

    def ending(self, text: str) -> Ending:
        return _ending(self._finish, self._usage, text + characters(self._pieces.rest()))


class _Stream(Streamed):
    """A stream whose comments count: they hold the HTTP status of the event."""

    def __init__(self, told: _Told) -> None:
        super().__init__(told, said)
        self._told = told

    def _read(self, data: bytes) -> str:
        self._told.comment = self._events.comment
        return super()._read(data)


def _refuse(data: Any, comment: bytes = b"", usage: Any = None) -> None:
    """Raise what an error says: in an event, its HTTP status is in a comment."""
    found = said(data)
    if found is None:
        return
    if found.code in WITHHELD and usage:
        raise filtered(_usage(usage), code=found.code)
    status = comment.removeprefix(STATUS) if comment.startswith(STATUS) else b""
    if status.isdigit() and status != b"200":
        raise Faulted(Fault(message=found.message, code=found.code, status=int(status)))
    raise Faulted(found)


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:
    """What an error says; where a stream was asked for, it is framed as an event, whatever its media type is."""
    events = Events()
    framed = events.feed(body) or [events.rest()]
    return any_fault(framed[0] or body, headers)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    if not isinstance(data, dict) or "output" not in data or data.get("code"):
        _refuse(data)
    text, finish = _said(data["output"])
    return _ending(finish, data.get("usage"), characters(text))


def _said(output: Any) -> tuple[str, str | None]:
    """Text and finish reason, in the form that was asked for, or in the older one that has no messages."""
    choices = output.get("choices")
    told = choices[0] if choices else output
    content = told["message"].get("content") if choices else output.get("text")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    finish = told.get("finish_reason")
    return content or "", None if finish in (None, "", "null") else str(finish)


def _ending(finish: str | None, usage: Any, text: str) -> Ending:
    return Ending(finish_reason=finish, usage=_usage(usage), model=None, text=text)


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    into, out = data.get("prompt_tokens_details"), data.get("output_tokens_details")
    return Usage(
        input_tokens=count(data.get("input_tokens")),
        output_tokens=count(data.get("output_tokens")),
        cached_tokens=count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        cache_write_tokens=count(into.get("cache_creation_input_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=count(out.get("reasoning_tokens")) if isinstance(out, dict) else None,
    )


def _reader(stream: bool) -> Reader:
    return _Stream(_Told()) if stream else Whole(_whole)


def spoken(*, parts: bool = False) -> Wire:
    """This wire as one route takes it; with `parts` a message's content is a list, as models of several senses want."""
    return Wire(body=partial(_body, parts=parts), reader=_reader, fault=fault)


wire = spoken()
