"""Text Generation Inference's own body, `{inputs, parameters}`: a raw prompt in, tokens as server-sent events out.

It knows no chat. The number of input tokens stands in streams alone; they end with the event that has the whole text.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count
from mlaas_lab.wires import _faults as faults
from mlaas_lab.wires._json import Whole, characters, loads
from mlaas_lab.wires._streamed import Streamed
from mlaas_lab.wires._transcript import transcript


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:
    sampling: dict[str, Any] = {"max_new_tokens": params.max_tokens, "details": True, "return_full_text": False}
    if params.temperature:
        # Zero is refused: without sampling it is greedy anyway.
        sampling.update(do_sample=True, temperature=params.temperature)
    if params.top_p is not None and params.top_p < 1:
        sampling["top_p"] = params.top_p
    if params.seed is not None:
        sampling["seed"] = params.seed
    if params.stop:
        sampling["stop"] = params.stop
    return {"inputs": transcript(prompt.messages), "parameters": sampling, "stream": stream}


def _whole(data: Any) -> Ending:
    if isinstance(data, list):
        data = data[0]
    if "generated_text" not in data:
        _refuse(data)
    return _ending(data.get("details"), characters(data["generated_text"]))


class _Tokens:
    """What the events say, a token each."""

    ended = False
    _details: Any = None

    @property
    def complete(self) -> bool:
        return self.ended

    def event(self, data: Any) -> str:
        if "token" not in data:
            _refuse(data)
        token = data["token"]
        if data.get("generated_text") is not None:
            self.ended, self._details = True, data.get("details")
        # Marks such as the end of the text are tokens, and no text.
        return "" if token.get("special") else str(token["text"])

    def ending(self, text: str) -> Ending:
        return _ending(self._details, text)


def _reader(stream: bool) -> Reader:
    return Streamed(_Tokens(), _said) if stream else Whole(_whole)


def _said(data: Any) -> Fault | None:
    found = faults.said(data)
    if found and isinstance(data, dict) and (kind := data.get("error_type")):
        return Fault(message=found.message, code=str(kind), status=found.status)
    return found


def _refuse(data: Any) -> None:
    if found := _said(data):
        raise Faulted(found)


def _fault(body: bytes, headers: Mapping[str, str]) -> Fault:
    try:
        found = _said(loads(body))
    except ValueError:
        found = None
    return found or faults.fault(body, headers)


def _ending(details: Any, text: str) -> Ending:
    if not isinstance(details, dict):
        return Ending(finish_reason=None, usage=Usage(), model=None, text=text)
    read = count(details.get("input_length"))
    if read is None and (prefill := details.get("prefill")):
        read = len(prefill)
    usage = Usage(input_tokens=read, output_tokens=count(details.get("generated_tokens")))
    finish = details.get("finish_reason")
    return Ending(finish_reason=str(finish) if finish else None, usage=usage, model=None, text=text)


wire = Wire(body=_body, reader=_reader, fault=_fault)
