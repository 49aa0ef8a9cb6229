"""IBM watsonx.ai's chat: near to OpenAI's, with `model_id`, a path of its own for streams, and three counters only.

A stream has no `[DONE]`: its end mark is a finish reason, and the counts follow it in an event without choices.
"""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import said as said_by_others
from mlaas_lab.wires._json import Whole, characters, excerpt, loads
from mlaas_lab.wires._streamed import Streamed

DEPLOYMENTS = "deployments/"
"""How the name of a model begins that is somebody's own deployment: its address names it, so the body does not."""


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:  # noqa: ARG001 - its path asks for a stream
    body: dict[str, Any] = {
        **named(prompt),
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
    return body


def named(prompt: Prompt) -> dict[str, str]:
    """The model's name, where the body says it."""
    return {} if prompt.model.startswith(DEPLOYMENTS) else {"model_id": prompt.model}


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:  # noqa: ARG001 - the body says it all
    """What the body of an HTTP error says, be it the model's or that of the token's issuer."""
    try:
        data = loads(body)
    except ValueError:
        data = None
    return said(data) or Fault(message=excerpt(body))


def said(data: Any) -> Fault | None:
    """The error in `data`, or None."""
    if not isinstance(data, dict):
        return None
    if message := data.get("errorMessage"):
        return Fault(message=str(message), code=str(data.get("errorCode") or "") or None)
    errors, status = data.get("errors"), data.get("status_code")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return said_by_others(data)
    return Fault(
        message=str(first.get("message") or first.get("code") or "no message"),
        code=str(first.get("code") or "") or None,
        status=status if isinstance(status, int) and 400 <= status < 600 else None,
    )


def refuse(data: Any) -> None:
    """Raise Faulted if `data` is an error, whatever the HTTP status said."""
    if found := said(data):
        raise Faulted(found)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    if not isinstance(data, dict) or "choices" not in data:
        refuse(data)
    choice = data["choices"][0]
    text = characters(choice["message"].get("content") or "")
    return _ending(choice.get("finish_reason"), data.get("usage"), data.get("model_id") or data.get("model"), text)


class _Chunks:
    """What the events of a stream say."""

    ended = False

    def __init__(self) -> None:
        self._finish: Any = None
        self._usage: Any = None
        self._model: Any = None

    @property
    def complete(self) -> bool:
        """A finish reason was read."""
        return self._finish is not None

    def event(self, data: Any) -> str:
        """The text in one event."""
        if "choices" not in data:
            refuse(data)
        self._usage = data.get("usage") or self._usage
        self._model = data.get("model_id") or data.get("model") or self._model
        choices = data["choices"]
        if not choices:
            return ""
        self._finish = choices[0].get("finish_reason") or self._finish
        return (choices[0].get("delta") or {}).get("content") or ""

    def ending(self, text: str) -> Ending:
        """The end of the answer."""
        return _ending(self._finish, self._usage, self._model, text)


def _ending(finish: Any, usage: Any, model: Any, text: str) -> Ending:
    if finish == "content_filter":
        raise filtered(_usage(usage), code="content_filter")
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
    return Usage(input_tokens=count(data.get("prompt_tokens")), output_tokens=count(data.get("completion_tokens")))


def _reader(stream: bool) -> Reader:
    return Streamed(_Chunks(), said) if stream else Whole(_whole)


wire = Wire(body=_body, reader=_reader, fault=fault)
