"""AWS' binary event stream, written: a message of headers and a payload, each part under its checksum."""

import struct
import zlib
from collections.abc import Mapping

TEXT = 7
"""Type of a header's value; AWS' services send no other."""


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", TEXT, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    data = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    data += struct.pack("!I", zlib.crc32(data)) + head + payload
    return data + struct.pack("!I", zlib.crc32(data))


def event(kind: str, payload: bytes, *, media_type: str = "application/json") -> bytes:
    """An event, in the order of headers that AWS uses."""
    return message({":event-type": kind, ":content-type": media_type, ":message-type": "event"}, payload)
