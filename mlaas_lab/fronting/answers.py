"""The answer of a server, read only as far as one must know where it ends; its bytes stay as they are.

An answer without a stated end is refused: its cut could not be told from its end.
"""

import re
from dataclasses import dataclass

from mlaas_lab.fronting.heads import FIELD

LONGEST_LINE = 4_096
"""Bytes of a line between chunks, its extensions included."""
MOST_TRAILERS = 32_768
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_PLAIN = re.compile(rb"(0*[1-9A-Fa-f][0-9A-Fa-f]{0,7})\r\n")
"""The line before a chunk, when nothing is odd about it; the last chunk is."""
_SIZE = re.compile(rb"[0-9]{1,15}")
HOP = (b"connection", b"keep-alive", b"proxy-", b"upgrade", b"access-control-")
"""Beginnings of what a server says to the front alone, or to the pages of a browser, which do not come in here."""


class Broken(Exception):
    """The server's bytes are no answer."""


class Length:
    """A body of a stated size."""

    def __init__(self, size: int) -> None:
        """`size` in bytes."""
        self._left = size
        self.done = size == 0

    def feed(self, data: bytes) -> int:
        """How many bytes of `data` belong to the body."""
        mine = min(self._left, len(data))
        self._left -= mine
        self.done = self._left == 0
        return mine


class Chunks:
    """A body in chunks, with trailers if it has some."""

    def __init__(self) -> None:
        """It has at least the last chunk."""
        self.done = False
        self._left = 0
        """Bytes of the chunk that are still to come, with its line end."""
        self._line = b""
        """As much of the next line as is there."""
        self._trailers = 0
        """Bytes of trailers so far, and of the empty line."""
        self._last = False

    def feed(self, data: bytes) -> int:
        """How many bytes of `data` belong to the body.

        Raises:
            Broken: if these are no chunks.
        """
        at, size = 0, len(data)
        while at < size and not self.done:
            if self._left:
                at = self._skip(data, at)
                continue
            if not self._line and not self._last and (after := _whole(data, at)) > at:
                at = after
                continue
            end = data.find(b"\n", at)
            piece = data[at : size if end < 0 else end + 1]
            self._line += piece
            at += len(piece)
            if len(self._line) > LONGEST_LINE:
                raise Broken("a line between its chunks does not end")
            if end >= 0:
                line, self._line = self._line, b""
                self._read(line)
        return at

    def _skip(self, data: bytes, at: int) -> int:
        """Pass over what is there of a chunk; its line end must be one, or the next length would not be a length."""
        mine = min(self._left, len(data) - at)
        after = self._left - mine
        for place, byte in ((2, 13), (1, 10)):
            if after < place <= self._left and data[at + self._left - place] != byte:
                raise Broken("a chunk is longer than it said")
        self._left = after
        return at + mine

    def _read(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise Broken("a line between its chunks has no proper end")
        if self._last:
            self._trailers += len(line)
            self.done = line == b"\r\n"
            if not self.done and (FIELD.fullmatch(line[:-2]) is None or self._trailers > MOST_TRAILERS):
                raise Broken("its trailers cannot be read")
            return
        found = _CHUNK.fullmatch(line[:-2])
        if found is None:
            raise Broken("the length of a chunk is no number")
        length = int(found[1], 16)
        self._last = length == 0
        self._left = length + 2 if length else 0


def _whole(data: bytes, at: int) -> int:
    """Where the chunks end that lie whole in `data` from `at` on: nearly all of them, and quickly passed."""
    size = len(data)
    while (found := _PLAIN.match(data, at)) is not None:
        end = found.end() + int(found[1], 16)
        if end + 2 > size or data[end : end + 2] != b"\r\n":
            break
        at = end + 2
    return at


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How an answer begins."""

    status: int
    head: bytes
    """Its lines as the caller gets them, without the empty one."""
    body: Length | Chunks
    keeps: bool
    """The server takes another request on this connection."""


def read(head: bytes) -> Answer:
    """The head of an answer, which ends before its empty line.

    Raises:
        Broken: if it is none, or does not say where its body ends.
    """
    start, *lines = head.split(b"\r\n")
    found = _STATUS.fullmatch(start)
    if found is None:
        raise Broken("it does not speak HTTP/1.1")
    status, passed, said = int(found[2]), [b"HTTP/1.1 %s %s\r\n" % (found[2], found[3] or b"")], dict[bytes, bytes]()
    for line in lines:
        field = FIELD.fullmatch(line)
        if field is None:
            raise Broken("a header of it cannot be read")
        name = field[1].lower()
        if name in (b"content-length", b"transfer-encoding", b"connection"):
            if name in said:
                raise Broken(f"it says {name.decode()} twice")
            said[name] = field[2].rstrip(b" \t").lower()
        if not name.startswith(HOP):
            passed.append(line + b"\r\n")
    return Answer(
        status=status,
        head=b"".join(passed),
        body=_body(status, said),
        keeps=found[1] == b"1" and b"close" not in said.get(b"connection", b""),
    )


def _body(status: int, said: dict[bytes, bytes]) -> Length | Chunks:
    size, coding = said.get(b"content-length"), said.get(b"transfer-encoding")
    if status == 101:
        raise Broken("it wants to speak something else")
    if status < 200 or status in (204, 304):
        if coding is not None or size not in (None, b"0"):
            raise Broken(f"status {status} has no body")
        return Length(0)
    if coding is not None:
        if size is not None or coding != b"chunked":
            raise Broken("it does not say in one way where it ends")
        return Chunks()
    if size is None or _SIZE.fullmatch(size) is None:
        raise Broken("it does not say where it ends")
    return Length(int(size))
