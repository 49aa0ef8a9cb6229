"""Tencent Cloud's native chat, `ChatCompletions` of Hunyuan and of the knowledge engine (lkeap): names in PascalCase.

A whole answer is wrapped in `Response`, the events of a stream are not. An error comes with HTTP 200. Usage stands in
every event; the first ones may count nothing yet, so the last counts. The two services name the counts differently.
"""

from functools import partial
from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import fault as any_fault
from mlaas_lab.wires._faults import said
from mlaas_lab.wires._json import Whole, characters, loads
from mlaas_lab.wires._streamed import Streamed

WITHHELD = ("sensitive", "content_filter")
"""Finish reasons of the filter, of Hunyuan and of lkeap."""
HUNYUAN = frozenset({"Temperature", "TopP", "Seed", "Stop"})
LKEAP = frozenset({"MaxTokens", "Temperature"})
"""What each service knows of sampling; it refuses the rest, which therefore is left out."""


def _body(prompt: Prompt, params: Params, stream: bool, *, known: frozenset[str]) -> JSON:
    sampling: dict[str, Any] = {
        "MaxTokens": params.max_tokens,
        "Temperature": params.temperature,
        "TopP": params.top_p,
        "Seed": params.seed,
        "Stop": list(params.stop) or None,
    }
    return {
        "Model": prompt.model,
        "Messages": [{"Role": message.role, "Content": message.content} for message in prompt.messages],
        "Stream": stream,
        **{name: value for name, value in sampling.items() if name in known and value is not None},
    }


def fault(body: bytes, headers: Any) -> Fault:
    """What an error says, in Tencent's form or in that of a gateway before it."""
    try:
        return _error(loads(body)) or any_fault(body, headers)
    except ValueError:
        return any_fault(body, headers)


def _error(data: Any) -> Fault | None:
    """The error in `data`: of a request, or of a stream that broke."""
    inner = data.get("Response", data) if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        return None
    if isinstance(error := inner.get("Error"), dict):
        return Fault(message=str(error.get("Message") or "an error"), code=str(error.get("Code") or "") or None)
    if isinstance(error := inner.get("ErrorMsg"), dict) and (error.get("Msg") or error.get("Code")):
        # 4000 is a failure on the vendor's side, 4001 the model's deadline.
        return Fault(message=str(error.get("Msg")), code=f"ErrorMsg.{error.get('Code')}", status=500)
    return None


def _refuse(data: Any) -> None:
    if found := _any_error(data):
        raise Faulted(found)


def _any_error(data: Any) -> Fault | None:
    """The error in `data`, in Tencent's form or in another's where it is no answer."""
    if found := _error(data):
        return found
    return said(data) if isinstance(data, dict) and not {"Response", "Choices"} & set(data) else None


class _Told:
    """What the events of one stream add up to."""

    ended = False

    def __init__(self) -> None:
        self._finish: str | None = None
        self._usage: Any = None
        self._model: str | None = None

    @property
    def complete(self) -> bool:
        return self._finish is not None

    def event(self, data: Any) -> str:
        _refuse(data)
        if _usage(data.get("Usage")) != Usage():
            self._usage = data["Usage"]
        self._model = data.get("Model") or self._model
        choices = data["Choices"]
        if not choices:
            return ""
        self._finish = choices[0].get("FinishReason") or self._finish
        return (choices[0].get("Delta") or {}).get("Content") or ""

    def ending(self, text: str) -> Ending:
        return _ending(self._finish, self._usage, self._model, text)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    _refuse(data)
    told = data["Response"]
    choice = told["Choices"][0]
    text = choice["Message"].get("Content") or ""
    return _ending(choice.get("FinishReason"), told.get("Usage"), told.get("Model"), characters(text))


def _ending(finish: Any, usage: Any, model: Any, text: str) -> Ending:
    if finish in WITHHELD:
        raise filtered(_usage(usage), code=finish)
    return Ending(finish_reason=finish or None, usage=_usage(usage), model=model or None, text=text)


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    into, out = (
        count(data.get(f"{new}Tokens")) if f"{new}Tokens" in data else count(data.get(f"{old}Tokens"))
        for new, old in (("Prompt", "Input"), ("Completion", "Output"))
    )
    if not into and not out:
        # The counters of events that come before the bill: nobody asks or answers nothing.
        return Usage()
    details = data.get("PromptTokensDetails")
    cached = details.get("CachedTokens") if isinstance(details, dict) else None
    # The specification has a text here.
    cached = int(cached) if isinstance(cached, str) and cached.isdecimal() else cached
    return Usage(input_tokens=into, output_tokens=out, cached_tokens=count(cached))


def _reader(stream: bool) -> Reader:
    return Streamed(_Told(), _any_error) if stream else Whole(_whole)


def spoken(known: frozenset[str]) -> Wire:
    """This wire for a service that knows these fields of sampling."""
    return Wire(body=partial(_body, known=known), reader=_reader, fault=fault)


wire = spoken(HUNYUAN)
lkeap = spoken(LKEAP)
