"""Lines that are with the operating system when `add` returns, and on the disk half a second later.

A kill of this process then costs no line, a power failure at most the last moments. What either of them tore is no row,
and the rest is read as if it had never been. It knows lines of JSON and no column.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from mlaas_lab.durable import settle

SYNC_S = 0.5
"""How much work a power failure may cost, in seconds."""


class Journal:
    """A file of lines that one process appends to."""

    def __init__(self, path: Path, first: Iterable[bytes] = ()) -> None:
        """Begin the file at `path` with the lines `first`; what was there before is replaced in one step.

        Raises:
            OSError: if it cannot be written.
        """
        self.path = path
        beside = path.with_name(f".{path.name}.part")
        with beside.open("wb") as file:
            file.writelines(first)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        settle(path.parent)
        self._file = path.open("ab", buffering=0)
        self._new = False
        self._failed: OSError | None = None
        self._over = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="mlaas journal", daemon=True)
        self._syncing.start()

    @property
    def closed(self) -> bool:
        """No line can be added any more."""
        return self._file.closed

    def add(self, line: bytes) -> None:
        """Append one line, its newline included; it survives a kill of this process from here on.

        Raises:
            OSError: if that cannot be done, or an earlier line did not reach the disk.
        """
        left = line
        while left:
            left = left[self._file.write(left) :]
        self._new = True
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Let go of the file; its lines stay. Nothing is raised: who closes has the lines elsewhere, or an error."""
        self._over.set()
        self._syncing.join()
        with suppress(OSError):
            self._file.close()

    def _sync(self) -> None:
        """Bring new lines to the disk now and then, in a thread: a slow disk must not hold up who adds."""
        while not self._over.wait(SYNC_S):
            if self._new:
                self._new = False
                try:
                    os.fsync(self._file.fileno())
                except OSError as error:
                    self._failed = error
                    return


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of the journal at `path`, in their order: what a kill or a power failure tore is left out."""
    with path.open("rb") as file:
        for line in file:
            try:
                row = orjson.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row
