"""An answer that comes as JSON in server-sent events: cutting, joining, and telling a part from the whole.

What an event means is its vendor's business, in a `Meaning`.
"""

from collections.abc import Callable
from typing import Any, Protocol

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.wires import Delta, Ending, Fault, Faulted
from mlaas_lab.wires._json import MOST_BYTES, characters, excerpt, loads
from mlaas_lab.wires._sse import Events

FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a stream of events may begin."""
MOST_HEAD_BYTES = 2**16
DONE = b"[DONE]"
"""A last event that some vendors took over from OpenAI, after an end mark of their own."""


class Meaning(Protocol):
    """What a vendor's events say, one after the other."""

    ended: bool
    """Nothing of interest follows."""

    @property
    def complete(self) -> bool:
        """The vendor's end mark was read."""

    def event(self, data: Any) -> str:
        """The text in one event.

        Raises what `Reader.feed` may, and LookupError, TypeError or AttributeError for another form.
        """

    def ending(self, text: str) -> Ending:
        """The end; `text` is what was not handed out before. Raises what `Reader.close` may."""


class Streamed:
    """Reads one stream; `said` finds the error in something that is no event."""

    def __init__(self, meaning: Meaning, said: Callable[[Any], Fault | None], *, done_ends: bool = False) -> None:
        """With `done_ends` a last `[DONE]` is an end mark too."""
        self._done = False
        self._done_ends = done_ends
        self._meaning = meaning
        self._said = said
        self._events = Events()
        self._begun = False
        self._head = b""
        """What came before the first event, to say what it was instead."""
        self._half = ""
        """The first half of a character that a vendor cut in two `\\u` escapes."""

    @property
    def ended(self) -> bool:
        """Nothing of interest follows."""
        return self._done or self._meaning.ended

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        """The text that `chunk` completes, as one piece."""
        found = self._events.feed(chunk)
        if self._events.pending_bytes > MOST_BYTES:
            raise ProviderBug(f"an event of the stream is larger than {MOST_BYTES} bytes.")
        if not found:
            if not self._begun and len(self._head) < MOST_HEAD_BYTES:
                self._head += chunk
            return ()
        self._begun = True
        text = self._joined("".join([self._read(data) for data in found]))
        return (Delta(text),) if text else ()

    def close(self) -> Ending:
        """The end of the answer."""
        rest = b"" if self.ended else self._events.rest()
        text = self._joined(self._last(rest)) if rest else ""
        if not (self._done or self._meaning.complete):
            raise broken(None if self._begun else self._head, self._said)
        return self._meaning.ending(text + characters(self._half))

    def _last(self, data: bytes) -> str:
        """The text of an event that nothing ended: whole, or the answer is not."""
        try:
            loads(data) if data != DONE else None
        except ValueError:
            raise Truncated("the stream broke off within an event.") from None
        self._begun = True
        return self._read(data)

    def _read(self, data: bytes) -> str:
        if data == DONE:
            self._done = self._done_ends
            return ""
        if self.ended:
            return ""
        try:
            event = loads(data)
        except ValueError:
            # transformers serve writes an error's text into its JSON unescaped.
            if data.startswith(b'{"error"'):
                raise Faulted(Fault(message=excerpt(data), status=500)) from None
            raise ProviderBug(f"an event of the stream is not JSON: {excerpt(data)}.") from None
        try:
            return self._meaning.event(event)
        except (LookupError, TypeError, AttributeError):
            raise ProviderBug(f"an event of the stream is not what its vendor documents: {excerpt(data)}.") from None

    def _joined(self, text: str) -> str:
        """`text` with what was left of the last piece in front, without a half character at its end."""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return characters(text.removesuffix(self._half))


def broken(head: bytes | None, said: Callable[[Any], Fault | None]) -> Exception:
    """What is wrong with a stream without its end mark; `head` is what came, unless that held an event."""
    head = None if head is None else head.strip()
    if head is None or any(head.startswith(field) or field.startswith(head) for field in FIELDS):
        return Truncated("the stream ended before its end mark.")
    try:
        fault = said(loads(head))
    except ValueError:
        fault = None
    return Faulted(fault) if fault else ProviderBug(f"the answer is not a stream of events: {excerpt(head)}.")
