"""AWS's binary event stream, from bytes split anywhere: the type and payload of each event.

A message is its length, the length of its headers and the CRC-32 of both, then headers, payload, and the CRC-32 of all
that came before (AWS, Amazon Transcribe developer guide, "Event stream encoding"). Numbers are big-endian.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from zlib import crc32

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.wires import Fault, Faulted
from mlaas_lab.wires._aws import read, worded
from mlaas_lab.wires._faults import refuse
from mlaas_lab.wires._json import MOST_BYTES, excerpt, loads

PRELUDE = struct.Struct("!III")
LEAST_BYTES = PRELUDE.size + 4
FIXED = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q", 9: "!16s"}
"""Type of a header's value → its form: byte, short, int, long, timestamp in ms, UUID; 0 and 1 are true and false."""
SIZED = (6, 7)
"""Types whose length stands in front: bytes and text."""


class Messages:
    """A parser for one stream: headers and payload of each message."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, chunk: bytes) -> list[tuple[dict[str, Any], bytes]]:
        """The messages that `chunk` completes.

        Raises:
            ProviderBug: if a checksum is wrong, or a length cannot be.
        """
        data, at = self._tail + chunk, 0
        found: list[tuple[dict[str, Any], bytes]] = []
        while len(data) - at >= PRELUDE.size:
            size, headers_bytes, crc = PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != crc:
                raise ProviderBug("the checksum of an event's beginning is wrong.")
            if size > MOST_BYTES or headers_bytes > size - LEAST_BYTES:
                raise ProviderBug(f"an event cannot have {size} bytes and {headers_bytes} bytes of headers.")
            if len(data) - at < size:
                break
            message = data[at : at + size]
            if crc32(message[:-4]) != int.from_bytes(message[-4:]):
                raise ProviderBug("the checksum of an event is wrong.")
            payload_at = PRELUDE.size + headers_bytes
            found.append((_headers(message[PRELUDE.size : payload_at]), message[payload_at:-4]))
            at += size
        self._tail = data[at:]
        return found

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the rest of their message; more than none at the end is a message that nothing ended."""
        return len(self._tail)


class Events:
    """A parser for one stream: an error in it is raised, and so is what was sent instead of a stream."""

    def __init__(self) -> None:
        self._messages = Messages()
        self._is_text: bool | None = None
        self._head = b""
        """What was sent instead of a stream."""

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        """Type and payload of the events that `chunk` completes.

        Raises:
            Faulted: if one of them is an error.
            ProviderBug: if a checksum is wrong, or a length cannot be.
        """
        if self._is_text is None and chunk:
            # No message is so long that its first byte could begin a text.
            self._is_text = chunk[0] > 1
        if self._is_text:
            self._head += chunk[: 2**16 - len(self._head)]
            return []
        return [_event(headers, payload) for headers, payload in self._messages.feed(chunk)]

    def close(self) -> None:
        """Nothing follows.

        Raises:
            Truncated: if it broke off within an event.
            Faulted: if it was an error in one piece instead.
            ProviderBug: if it was anything else.
        """
        if self._messages.pending_bytes:
            raise Truncated("the stream broke off within an event.")
        if self._head:
            with suppress(ValueError):
                refuse(loads(self._head))
            raise ProviderBug(f"the answer is not a stream of events: {excerpt(self._head)}.")


def _event(headers: dict[str, Any], payload: bytes) -> tuple[str, bytes]:
    match headers.get(":message-type"):
        case "exception":
            # SageMaker's one exception has several codes.
            raise Faulted(worded(payload, str(read(payload).get("ErrorCode") or headers.get(":exception-type", ""))))
        case "error":
            code, message = headers.get(":error-code"), headers.get(":error-message")
            raise Faulted(Fault(message=str(message or code), code=str(code) if code else None))
        case _:
            return str(headers.get(":event-type", "")), payload


def _headers(data: bytes) -> dict[str, Any]:
    try:
        return dict(_pairs(data))
    except (IndexError, struct.error, UnicodeDecodeError, KeyError):
        raise ProviderBug("the headers of an event are broken.") from None


def _pairs(data: bytes) -> Iterator[tuple[str, Any]]:
    at = 0
    while at < len(data):
        kind_at = at + 1 + data[at]
        name, kind, at = data[at + 1 : kind_at].decode(), data[kind_at], kind_at + 1
        value: Any
        if kind in SIZED:
            (size,) = struct.unpack_from("!H", data, at)
            raw, at = data[at + 2 : at + 2 + size], at + 2 + size
            value = raw.decode() if kind == SIZED[1] else raw
        elif kind < 2:
            value = kind == 0
        else:
            (value,) = struct.unpack_from(FIXED[kind], data, at)
            at += struct.calcsize(FIXED[kind])
        yield name, value
    if at > len(data):
        raise IndexError(at)
