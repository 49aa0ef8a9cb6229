"""Google's generateContent, as the Gemini API and Vertex speak it.

Cached tokens are within the prompt's; thoughts are beside the candidates' and billed as output. A stream has no mark
of its own: it is whole once a candidate, or the prompt, has a reason to end. What a filter withholds comes as HTTP 200
and is billed.
"""

import re
from collections.abc import Mapping
from typing import Any

from mlaas_lab.errors import Truncated
from mlaas_lab.schema import JSON, Message, Usage
from mlaas_lab.wires import Ending, Fault, Faulted, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import said as _said
from mlaas_lab.wires._json import Whole, characters, excerpt, loads
from mlaas_lab.wires._streamed import Streamed

WITHHELD = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
"""Reasons to end that are a filter's."""


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:  # noqa: ARG001 - the address asks for a stream
    config: dict[str, Any] = {
        "maxOutputTokens": params.max_tokens,
        "temperature": params.temperature,
        "topP": params.top_p,
        "seed": params.seed,
        "stopSequences": params.stop or None,
    }
    body: dict[str, Any] = {
        "contents": [_content(message) for message in prompt.messages if message.role != "system"],
        "generationConfig": {name: value for name, value in config.items() if value is not None},
    }
    system = [{"text": message.content} for message in prompt.messages if message.role == "system"]
    if system:
        body["systemInstruction"] = {"role": "user", "parts": system}
    return body


def _content(message: Message) -> dict[str, Any]:
    role = "model" if message.role == "assistant" else message.role
    return {"role": role, "parts": [{"text": message.content}]}


class _Meaning:
    """What Google's responses say: one of them, or many that go on where the last one ended."""

    def __init__(self) -> None:
        # Nothing says that nothing follows: usage may come after the reason to end.
        self.ended = self.complete = False
        self._usage: dict[str, Any] = {}
        self._model: Any = None
        self._finish: Any = None
        self._withheld: Any = None

    def event(self, data: Any) -> str:
        if "error" in data:
            _refuse(data)
        self._usage |= data.get("usageMetadata") or {}
        self._model = data.get("modelVersion") or self._model
        self._withheld = (data.get("promptFeedback") or {}).get("blockReason") or self._withheld
        candidates = data.get("candidates")
        text = self._candidate(candidates[0]) if candidates else ""
        self.complete = self._finish is not None or self._withheld is not None
        return text

    def _candidate(self, candidate: dict[str, Any]) -> str:
        self._finish = candidate.get("finishReason") or self._finish
        if self._finish in WITHHELD:
            self._withheld = self._finish
        parts = (candidate.get("content") or {}).get("parts") or ()
        return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))

    def ending(self, text: str) -> Ending:
        usage = _usage(self._usage)
        if self._withheld is not None:
            raise filtered(usage, code=str(self._withheld))
        finish = str(self._finish) if self._finish else None
        return Ending(finish_reason=finish, usage=usage, model=str(self._model) if self._model else None, text=text)


def _whole(data: Any) -> Ending:
    """The ending of an answer that came in one piece."""
    meaning = _Meaning()
    text = characters(meaning.event(data))
    if not meaning.complete:
        # Without the key this is a LookupError: no answer of Google's at all.
        raise Truncated(f"the answer has no reason to end in any of its {len(data['candidates'])} candidates.")
    return meaning.ending(text)


def _reader(stream: bool) -> Reader:
    return Streamed(_Meaning(), said) if stream else Whole(_whole)


def _usage(data: Mapping[str, Any]) -> Usage:
    prompt, tools = count(data.get("promptTokenCount")), count(data.get("toolUsePromptTokenCount"))
    candidates, thoughts = count(data.get("candidatesTokenCount")), count(data.get("thoughtsTokenCount"))
    into = None if prompt is None else prompt + (tools or 0)
    if candidates is not None or thoughts is not None:
        out: int | None = (candidates or 0) + (thoughts or 0)
    else:
        # Counts that are 0 are left out; the total shows whether this is one.
        total = count(data.get("totalTokenCount"))
        out = total - into if total is not None and into is not None and total >= into else None
    return Usage(
        input_tokens=into,
        output_tokens=out,
        cached_tokens=count(data.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:  # noqa: ARG001 - the body says it all
    """What the body of an HTTP error says."""
    try:
        data = loads(body)
    except ValueError:
        data = None
    return said(data) or Fault(message=excerpt(body))


def said(data: Any) -> Fault | None:
    """The error in `data`, or None: its code is the reason in its details, or else its status."""
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error") if isinstance(data, dict) else None
    if isinstance(error, str) and data.get("error_description"):
        return Fault(message=f"{error}: {data['error_description']}", code=error)
    if not isinstance(error, dict) or not isinstance(error.get("status"), str):
        return _said(data)
    details = error.get("details")
    known = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    reason = next((one["reason"] for one in known if isinstance(one.get("reason"), str)), None)
    status = count(error.get("code"))
    return Fault(
        message=str(error.get("message") or error["status"]),
        code=reason or error["status"],
        status=status if status is not None and 400 <= status < 600 else None,
        retry_after_s=next((wait for one in known if (wait := _seconds(one.get("retryDelay"))) is not None), None),
    )


def _seconds(text: Any) -> float | None:
    """A duration as protocol buffers write it in JSON: `13s`, `0.847655010s`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", text) if isinstance(text, str) else None
    return float(found[1]) if found else None


def _refuse(data: Any) -> None:
    if found := said(data):
        raise Faulted(found)


wire = Wire(body=_body, reader=_reader, fault=fault)
