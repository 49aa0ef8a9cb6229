"""IBM watsonx.ai's text generation: one text in, one text out, for models and tuned deployments without a chat.

In a stream, the count of generated tokens is of all so far, and that of the input is 0 after the first event.
"""

from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._json import Whole, characters
from mlaas_lab.wires._streamed import Streamed
from mlaas_lab.wires._transcript import transcript
from mlaas_lab.wires.watsonx import fault, named, refuse, said


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:  # noqa: ARG001 - its path asks for a stream
    greedy = params.temperature == 0 or (params.temperature is None and params.top_p is None)
    parameters: dict[str, Any] = {
        "decoding_method": "greedy" if greedy else "sample",
        "max_new_tokens": params.max_tokens,
    }
    if not greedy:
        if params.temperature is not None:
            parameters["temperature"] = params.temperature
        if params.top_p is not None:
            parameters["top_p"] = params.top_p
        if params.seed is not None:
            parameters["random_seed"] = params.seed
    if params.stop:
        # Without the second, the text would end with the stop sequence, as nobody else's does.
        parameters |= {"stop_sequences": params.stop, "include_stop_sequence": False}
    return {**named(prompt), "input": transcript(prompt.messages), "parameters": parameters}


class _Results:
    """What the events of a stream say; an answer in one piece is one event."""

    ended = False

    def __init__(self) -> None:
        self._stop = ""
        self._input: int | None = None
        self._output: int | None = None
        self._model: Any = None
        self._withheld = False

    @property
    def complete(self) -> bool:
        """A reason to stop was read."""
        return bool(self._stop)

    def event(self, data: Any) -> str:
        """The text in one event."""
        if "results" not in data:
            refuse(data)
        self._model = data.get("model_id") or self._model
        results = data["results"]
        if not results:
            return ""
        result = results[0]
        self._input = _most(self._input, count(result.get("input_token_count")))
        self._output = _most(self._output, count(result.get("generated_token_count")))
        self._withheld = self._withheld or any((result.get("moderations") or {}).values())
        stop = str(result.get("stop_reason") or "").lower()
        if stop != "not_finished":
            self._stop = stop or self._stop
        return str(result.get("generated_text") or "")

    def ending(self, text: str) -> Ending:
        """The end of the answer."""
        usage = Usage(input_tokens=self._input, output_tokens=self._output)
        if self._withheld:
            raise filtered(usage, code="moderations")
        if self._stop == "error":
            raise Faulted(Fault(message="the vendor ended the answer with an error", status=500))
        return Ending(
            finish_reason=self._stop or None, usage=usage, model=str(self._model) if self._model else None, text=text
        )


def _most(before: int | None, now: int | None) -> int | None:
    return before if now is None else max(before or 0, now)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    if not isinstance(data, dict):
        raise TypeError("not an object")
    results = _Results()
    text = characters(results.event(data))
    if "stop_reason" not in data["results"][0]:
        raise LookupError("no stop_reason")
    return results.ending(text)


def _reader(stream: bool) -> Reader:
    return Streamed(_Results(), said) if stream else Whole(_whole)


wire = Wire(body=_body, reader=_reader, fault=fault)
