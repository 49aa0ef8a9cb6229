"""Server-sent events, as far as language models use them: the data of each event, from bytes split anywhere.

Lines end with LF or CRLF, several `data:` lines of one event are joined, comments and other fields are skipped (WHATWG
HTML, section 9.2.6). Bytes are cut at line ends only, so a character that arrives in two halves is never torn.
"""


class Events:
    """A parser for one stream."""

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []
        self.comment = b""
        """The last one, for vendors that say something in it."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes."""
        lines = (self._tail + chunk).split(b"\n")
        self._tail = lines.pop()
        found: list[bytes] = []
        for line in lines:
            if line[:5] == b"data:":
                self._data.append(line[5:].strip())
            elif line in (b"", b"\r") and self._data:
                found.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
            elif line[:1] == b":":
                self.comment = line[1:].strip()
        return found

    def rest(self) -> bytes:
        """Data of an event that nothing ended: its blank line never came. Nothing follows."""
        if self._tail.strip():
            self.feed(b"\n")
        data, self._data = b"\n".join(self._data), []
        return data

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the rest of their event."""
        return len(self._tail) + sum(map(len, self._data))


class Named:
    """A parser for one stream whose events have names, and whose data is text: spaces in it are kept."""

    def __init__(self) -> None:
        self._tail = b""
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        """Name and data of the events that `chunk` completes; the name is empty where none is given."""
        lines = (self._tail + chunk).split(b"\n")
        self._tail = lines.pop()
        found: list[tuple[str, bytes]] = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._name = value.strip().decode(errors="replace")
            elif not line:
                if self._data:
                    found.append((self._name, b"\n".join(self._data)))
                self._name, self._data = "", []
        return found

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the rest of their event; more than none at the end is an event that nothing ended."""
        return len(self._tail.strip()) + sum(map(len, self._data))
