"""SageMaker's endpoints: another wire's body as it is, and its answer cut into the events of a binary stream.

A part may end anywhere, within a line or a character. AWS adds no usage, no model and no end mark: those are the
container's. One that does not stream answers in one piece all the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlaas_lab.errors import Truncated
from mlaas_lab.schema import JSON
from mlaas_lab.wires import Delta, Ending, Fault, Follow, Params, Prompt, Reader, Wire, openai_chat, tgi
from mlaas_lab.wires._aws import fault, read
from mlaas_lab.wires._eventstream import Events


class _Parts:
    """Reads the container's answer out of the parts."""

    def __init__(self, inner: Wire) -> None:
        self._inner = inner
        self._reader: Reader | None = None
        self._events = Events()

    @property
    def ended(self) -> bool:
        return self._reader is not None and self._reader.ended

    def feed(self, chunk: bytes) -> list[Delta]:
        found: list[Delta] = []
        for kind, payload in self._events.feed(chunk):
            # Blanks before the answer do not say which form it has.
            if kind == "PayloadPart" and (self._reader is not None or payload.strip()):
                found.extend(self._chosen(payload).feed(payload))
        return found

    def close(self) -> Ending | Follow:
        if not self.ended:
            self._events.close()
        if self._reader is None:
            raise Truncated("the stream ended before its end mark.")
        return self._reader.close()

    def _chosen(self, payload: bytes) -> Reader:
        """The reader of what the container sends: events, or one piece of JSON."""
        if self._reader is None:
            self._reader = self._inner.reader(payload.lstrip()[:1] not in (b"{", b"["))
        return self._reader


def _fault(inner: Wire, body: bytes, headers: Mapping[str, str]) -> Fault:
    """What went wrong: in the container's words where AWS repeats them."""
    found, data = fault(body, headers), read(body)
    status, said = data.get("OriginalStatusCode"), data.get("OriginalMessage")
    if not isinstance(status, int) or not 400 <= status < 600:
        return found
    own = inner.fault(str(said or found.message).encode(), {})
    return replace(own, code=own.code or data.get("ErrorCode"), status=status)


def parted(inner: Wire, *, named: bool = True) -> Wire:
    """`inner` at a SageMaker endpoint; without `named`, its body has no model, since the endpoint is one."""

    def body(prompt: Prompt, params: Params, stream: bool) -> JSON:
        written: Any = inner.body(prompt, params, stream)
        return written if named else {name: value for name, value in written.items() if name != "model"}

    return Wire(
        body=body,
        reader=lambda stream: _Parts(inner) if stream else inner.reader(False),
        fault=lambda body, headers: _fault(inner, body, headers),
    )


wire = parted(openai_chat.wire, named=False)
tgi_wire = parted(tgi.wire)
