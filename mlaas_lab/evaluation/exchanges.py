"""What every target really sent, body and headers, beside the records: proof, and help when a number looks wrong.

One line of JSON a call, compressed. Writing happens in a thread; what cannot be written costs no evaluation.
"""

import base64
import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import orjson

from mlaas_lab.schema import Record

LEVEL = 1
"""Of compression: it halves most answers, and more costs the evaluation's time."""


class Exchanges:
    """The file that one attempt writes; as `with Exchanges(path, note) as exchanges`."""

    def __init__(self, path: Path | None, note: Callable[[str], None]) -> None:
        """The file at `path` is begun; None writes nothing. `note` hears why nothing is written, if it cannot be."""
        self._path = path
        self._note = note
        self._new: SimpleQueue[Record | None] = SimpleQueue()
        self._writing = threading.Thread(target=self._write, name="mlaas exchanges", daemon=True)

    def keep(self, record: Record) -> None:
        """Write what `record` stands on, if it was really asked; returns at once."""
        if self._path is not None:
            self._new.put(record)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._writing.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._path is not None:
            self._new.put(None)
            self._writing.join()

    def _write(self) -> None:
        try:
            self._append()
        except OSError as error:
            self._note(f"what the targets sent is not kept: {self._path}: {error.strerror}.")
            while self._new.get() is not None:
                pass

    def _append(self) -> None:
        if self._path is None:
            return
        with gzip.open(self._path, "wb", compresslevel=LEVEL) as file:
            while (record := self._new.get()) is not None:
                if (line := _line(record)) is not None:
                    file.write(line)
                if self._new.empty():
                    file.flush()  # what a kill finds here can be read


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
