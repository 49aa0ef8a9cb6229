"""A folder whose power can fail: what was not synced is gone, contents and names alike. The strictest disk POSIX allows.

A file's content is safe as it was when that file was last synced, its name as it was when the folder was. The log of
calls is taken at `os.fsync`, so whatever is tested runs as it is.
"""

import os
from pathlib import Path

import pytest


class PowerFailure(BaseException):
    """The power fails before a sync; nothing may catch it."""


class PoweredFolder:
    """Watches one folder, without the folders in it, until `fail`."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All that is there now is safe."""
        self._path = path
        self._synced: dict[int, bytes] = {}
        self._safe: dict[str, tuple[int, bytes]] = {}
        self._fsync = os.fsync
        self.syncs = 0
        self.fails_at: int | None = None
        """Before which sync the power fails, from 1; None: not by itself."""
        self.settle()
        monkeypatch.setattr(os, "fsync", self._sync)

    def settle(self) -> None:
        """Make everything safe, as if the system had found the time."""
        for file in self._files():
            self._synced[file.stat().st_ino] = file.read_bytes()
        self._name()

    def fail(self) -> None:
        """Leave in the folder what a power failure now would."""
        for file in self._files():
            if file.name not in self._safe:
                file.unlink()
        for name, (_, content) in self._safe.items():
            (self._path / name).write_bytes(content)

    def _sync(self, handle: int) -> None:
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if self._path in (place, place.parent):
            self.syncs += 1
            if self.syncs == self.fails_at:
                raise PowerFailure
        if place == self._path:
            self._name()
        elif place.parent == self._path:
            number, content = os.fstat(handle).st_ino, place.read_bytes()
            self._synced[number] = content
            if self._safe.get(place.name, (None,))[0] == number:
                self._safe[place.name] = (number, content)
        self._fsync(handle)

    def _name(self) -> None:
        safe = {}
        for file in self._files():
            number = file.stat().st_ino
            safe[file.name] = (number, self._synced.get(number, b""))
        self._safe = safe

    def _files(self) -> list[Path]:
        return [file for file in self._path.iterdir() if file.is_file()]
