"""What every target really sent, body and headers, beside the records: proof, and help when a number looks wrong.

One line of JSON a call, compressed. A thread compresses and writes several at a time, since waking it for each would
cost more than the call; what cannot be written costs no evaluation.
"""

import base64
import gzip
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from mlaas_lab.schema import Record

LEVEL = 1
"""Of compression: it halves most answers, and more costs the evaluation's time."""
EVERY_S = 0.2
"""How much a kill may cost of them, in seconds."""


class Exchanges:
    """The file that one attempt writes; as `with Exchanges(path, note) as exchanges`."""

    def __init__(self, path: Path | None, note: Callable[[str], None]) -> None:
        """The file at `path` is begun; None writes nothing. `note` hears why nothing is written, if it cannot be."""
        self._path = path
        self._note = note
        self._new: deque[bytes] = deque()
        """Lines: a record that waits here is one more for the garbage collector to walk through, again and again."""
        self._over = threading.Event()
        self._writing = threading.Thread(target=self._write, name="mlaas exchanges", daemon=True)

    def keep(self, record: Record) -> None:
        """Write what `record` stands on, if it was really asked; returns at once."""
        if self._path is not None and (line := _line(record)) is not None:
            self._new.append(line)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._writing.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        if self._writing.ident is not None:
            self._writing.join()

    def _write(self) -> None:
        path = self._path
        if path is None:
            return
        try:
            with gzip.open(path, "wb", compresslevel=LEVEL) as file:
                over = False
                while not over:
                    over = self._over.wait(EVERY_S)
                    if lines := b"".join(self._lines()):
                        file.write(lines)
                        file.flush()  # what a kill finds here can be read
        except OSError as error:
            self._path = None
            self._new.clear()
            self._note(f"what the targets sent is not kept: {path}: {error.strerror}.")

    def _lines(self) -> Iterator[bytes]:
        """What has come since; each call is one line."""
        while self._new:
            yield self._new.popleft()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of such a file: target, sample_id, repeat, status, headers and body; what a kill tore is left out.

    Raises:
        OSError: if it cannot be read.
    """
    with gzip.open(path, "rb") as file:
        try:
            for line in file:
                yield orjson.loads(line)
        except (EOFError, ValueError, gzip.BadGzipFile):
            return


def _line(record: Record) -> bytes | None:
    exchange = record.completion.exchange if record.completion else record.exchange
    if exchange is None:
        return None
    try:
        body = {"body": exchange.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(exchange.body).decode()}
    said = {
        "target": record.target,
        "sample_id": record.sample_id,
        "repeat": record.repeat,
        "status": exchange.status,
        "headers": dict(exchange.headers),
        **body,
    }
    return orjson.dumps(said) + b"\n"
