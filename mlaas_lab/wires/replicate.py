"""Replicate: a prediction is created, and then looked at until it has ended, or its stream is read elsewhere.

A stream carries text only; the counts are in the prediction, which is looked at once more. Most models are billed by
time and count nothing: then usage is unknown.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mlaas_lab.errors import InvalidRequest, ProviderBug
from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Delta, Ending, Fault, Faulted, Follow, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._faults import refuse, said
from mlaas_lab.wires._json import MOST_BYTES, Whole, characters, excerpt, loads
from mlaas_lab.wires._sse import Named
from mlaas_lab.wires._streamed import MOST_HEAD_BYTES, broken
from mlaas_lab.wires._transcript import transcript

FIRST_S, GROWTH, LONGEST_S = 0.1, 1.5, 5.0
"""Pause before the second look at a prediction, by how much each later one is longer, and the longest."""
MOST_LOOKS = 8
"""How often the counts of an answer that is whole are looked for."""
RUNNING = ("starting", "processing", "queued")
FILTER = re.compile(r"\(E005\)|flagged as sensitive|NSFW|content policy", re.IGNORECASE)
"""How models say that their filter withheld the answer; Replicate has no code for it."""
REJECTED = re.compile(r"input validation error", re.IGNORECASE)


def version_of(model: str) -> str | None:
    """The version that a model's name holds: `owner/name:version`, or the version alone."""
    found = re.fullmatch(r"(?:[^:]+:)?([0-9a-f]{64})|[^:]+:(.+)", model)
    return (found[1] or found[2]) if found else None


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:
    turns = [message for message in prompt.messages if message.role != "system"]
    asked: dict[str, Any] = {"prompt": transcript(turns), "max_tokens": params.max_tokens}
    if len(turns) < len(prompt.messages):
        system = [message.content for message in prompt.messages if message.role == "system"]
        asked["system_prompt"] = "\n\n".join(system)
    if params.temperature is not None:
        asked["temperature"] = params.temperature
    if params.top_p is not None:
        asked["top_p"] = params.top_p
    if params.seed is not None:
        asked["seed"] = params.seed
    if params.stop:
        if any("," in stop for stop in params.stop):
            raise InvalidRequest("Replicate separates stop sequences by commas: none can hold one.")
        asked["stop_sequences"] = ",".join(params.stop)
    version = version_of(prompt.model)
    return {
        "input": asked,
        **({"version": version} if version else {}),
        **({"stream": True} if stream else {}),
    }


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:
    """What a problem document (RFC 7807) says; its title is the code."""
    try:
        data = loads(body)
    except ValueError:
        data = None
    found = said(data)
    if found is None or not isinstance(data, dict):
        return Fault(message=excerpt(body))
    status = data.get("status")
    reset = data.get("retry_after", headers.get("ratelimit-reset")) if status == 429 else None
    return Fault(
        message=found.message.strip(),
        code=str(data["title"]) if data.get("title") else found.code,
        status=status if isinstance(status, int) and 400 <= status < 600 else found.status,
        retry_after_s=float(str(reset)) if re.fullmatch(r"\d+(\.\d+)?", str(reset)) else None,
    )


def _looked(data: Any, *, looks: int) -> Ending | Follow:
    """A look at a prediction: its end, or another look."""
    if _runs(data):
        return _later(data, _looked, looks=looks)
    return Ending(finish_reason="succeeded", usage=_usage(data), model=_model(data), text=_text(data["output"]))


def _later(data: Any, look: Callable[..., Ending | Follow], *, looks: int, whole: Ending | None = None) -> Follow:
    """Another look, after a pause that grows."""
    pause = min(LONGEST_S, FIRST_S * GROWTH**looks)
    reader = Whole(partial(look, looks=looks + 1))
    return Follow(url=data["urls"]["get"], reader=reader, after_s=pause, whole=whole)


def _runs(data: Any) -> bool:
    """Whether a prediction has not ended; raises if it ended badly."""
    status = data.get("status")
    if not isinstance(status, str):
        refuse(data)
        raise LookupError("no prediction")
    if status in RUNNING:
        return True
    if status == "succeeded":
        return False
    message = str(data.get("error") or f"the prediction was {status}")
    if FILTER.search(message):
        raise filtered(_usage(data), code="E005")
    raise Faulted(
        Fault(
            message=message,
            code=None if status == "failed" else status,
            status=400 if REJECTED.search(message) else 500,
        )
    )


def _opened(data: Any) -> Ending | Follow:
    """Where the stream of a prediction is; a model without one is looked at."""
    url = (data.get("urls") or {}).get("stream")
    if not _runs(data) or not url:
        return _looked(data, looks=0)
    return Follow(url=url, reader=_Events(data), accept="text/event-stream")


class _Events:
    """Reads the stream of a prediction."""

    def __init__(self, prediction: Any) -> None:
        self.ended = False
        self._prediction = prediction
        self._events = Named()
        self._head: bytes | None = b""
        self._wrong: str | None = None
        """What the stream says went wrong."""

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        found = self._events.feed(chunk)
        if self._events.pending_bytes > MOST_BYTES:
            raise ProviderBug(f"an event of the stream is larger than {MOST_BYTES} bytes.")
        if found:
            self._head = None
        elif self._head is not None and len(self._head) < MOST_HEAD_BYTES:
            self._head += chunk
        text = "".join([self._read(name, data) for name, data in found])
        return (Delta(text),) if text else ()

    def close(self) -> Ending | Follow:
        """The prediction itself: its counts, or why it failed."""
        if not self.ended:
            raise broken(self._head, said)
        reader = Whole(partial(_counted, looks=0, wrong=self._wrong))
        return Follow(url=self._prediction["urls"]["get"], reader=reader, whole=_uncounted(self._prediction))

    def _read(self, name: str, data: bytes) -> str:
        """The text of one event."""
        if self.ended:
            return ""
        if name == "output":
            return data.decode(errors="replace")
        if name == "error":
            self._wrong = _detail(data)
            self.ended = True
        elif name == "done":
            self.ended = True
            if reason := _reason(data):
                self._wrong = f"the prediction ended early: {reason}"
        return ""


def _counted(data: Any, *, looks: int, wrong: str | None) -> Ending | Follow:
    """A look at the prediction of a stream that has ended; `wrong` is what the stream said."""
    runs = _runs(data)
    if wrong is not None:
        raise Faulted(Fault(message=wrong, status=500))
    if runs and looks < MOST_LOOKS:
        return _later(data, partial(_counted, wrong=None), looks=looks, whole=_uncounted(data))
    return Ending(finish_reason="succeeded", usage=_usage(data), model=_model(data))


def _uncounted(data: Any) -> Ending:
    """The end of an answer that is whole, and whose tokens nobody counted."""
    return Ending(finish_reason="succeeded", usage=Usage(), model=_model(data))


def _detail(data: bytes) -> str:
    try:
        found = said(loads(data))
    except ValueError:
        found = None
    return found.message if found else excerpt(data)


def _reason(data: bytes) -> str | None:
    try:
        found = loads(data)
    except ValueError:
        return excerpt(data) if data.strip() else None
    return str(found["reason"]) if isinstance(found, dict) and found.get("reason") else None


def _text(output: Any) -> str:
    """The text of an output: a string, or its pieces."""
    if output is None:
        return ""
    if isinstance(output, str):
        return characters(output)
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return characters("".join(output))
    raise TypeError("no text")


def _usage(data: Any) -> Usage:
    metrics = data.get("metrics") or {}
    return Usage(
        input_tokens=count(metrics.get("input_token_count")), output_tokens=count(metrics.get("output_token_count"))
    )


def _model(data: Any) -> str | None:
    name = data.get("model") or data.get("version")
    return str(name) if name else None


def _reader(stream: bool) -> Reader:
    return Whole(_opened if stream else partial(_looked, looks=0))


wire = Wire(body=_body, reader=_reader, fault=fault)
