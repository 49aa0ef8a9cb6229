"""JSON as vendors send it, and an answer that comes in one piece: what every wire of text shares."""

import json
from collections.abc import Callable
from typing import Any

import orjson

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.wires import Delta, Ending, Follow

MOST_BYTES = 16 * 2**20
"""An answer that is larger, or one event of it, is nobody's text."""


def loads(data: bytes) -> Any:
    """What `data` says.

    Raises:
        ValueError: if it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # It refuses halves of surrogate pairs, which some vendors send.
        if b"\\ud" not in data.lower():
            raise
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("too deep") from error


def characters(text: str) -> str:
    """`text` with surrogate pairs joined and single halves replaced, so that it can be written as UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def excerpt(body: bytes) -> str:
    """The beginning of `body`, for a message."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return repr(text) if text else "it is empty"


class Whole:
    """Reads an answer that comes in one piece of JSON; `ending` makes of it what it means."""

    ended = False

    def __init__(self, ending: Callable[[Any], Ending | Follow]) -> None:
        """`ending` may raise what `Reader.close` may, and LookupError, TypeError or AttributeError for another form."""
        self._ending = ending
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        """Nothing yet: it is read at its end."""
        self._size_bytes += len(chunk)
        if self._size_bytes > MOST_BYTES:
            raise ProviderBug(f"the answer is larger than {MOST_BYTES} bytes.")
        self._parts.append(chunk)
        return ()

    def close(self) -> Ending | Follow:
        """What it means."""
        body = b"".join(self._parts).strip()
        try:
            data = loads(body)
        except ValueError:
            if body[:1] in (b"", b"{"):
                raise Truncated(f"the answer ended after {len(body)} bytes, before its end.") from None
            raise ProviderBug(f"the answer is not JSON: {excerpt(body)}.") from None
        try:
            return self._ending(data)
        except (LookupError, TypeError, AttributeError):
            raise ProviderBug(f"the answer is not what its vendor documents: {excerpt(body)}.") from None
