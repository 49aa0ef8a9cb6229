"""How the lines of an entry elsewhere come home: each once and in order, whatever dies on the way.

There, event lines are numbered and stand between other output behind a mark that only this attempt knows, so neither
an older attempt nor a model's answer can pass for one. The same lines are in a file of the job's storage; what the
output did not bring any more is taken from it at the end. Here, how far the output was read is on disk together with
how long our files were, so a supervisor that starts again goes on exactly there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder, read_json, write_json

LONGEST_BYTES = 1 << 20
"""Of a line; a longer one is taken in parts."""


def lines_file(storage: Path, attempt: int) -> Path:
    """Where an attempt keeps its event lines."""
    return storage / f"lines-{attempt}.jsonl"


def turn_file(storage: Path) -> Path:
    """Where it stands which attempt may write, as `{attempt}`; null ends all."""
    return storage / "turn.json"


def last_steps(folder: JobFolder) -> dict[str, int]:
    """The last step that each metric came home for, whichever attempt sent it."""
    found: dict[str, int] = {}
    for _, line in folder.events_from():
        if line["event"] == "metrics":
            found |= {key: max(line["step"], found.get(key, -1)) for key in line["values"]}
    return found


def mark(token: str) -> bytes:
    """What stands before each event line in the output; JSON never holds that control character."""
    return b"\x1emlaas-" + token.encode() + b" "


class Arrivals:
    """Takes the output of one attempt apart: event lines to events.jsonl, the rest to the log."""

    def __init__(self, folder: JobFolder, *, attempt: int, token: str) -> None:
        """Go on where an earlier supervisor of the same attempt ended."""
        self._folder = folder
        self._kept = folder.path / f"arrived-{attempt}.json"
        self._mark = mark(token)
        state: dict[str, JSON] = read_json(self._kept) or {"read": 0, "events": 0}
        self.read: int = state["read"]
        """Bytes of the output that were taken."""
        self.events: int = state["events"]
        """Event lines that were taken."""
        for name, size in state.get("before", {}).items():
            path = folder.path / name
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)

    def take(self, output: bytes) -> int:
        """Take whole lines of `output`, which goes on at `read`; how many bytes they were."""
        whole = output[: output.rfind(b"\n") + 1] or (output if len(output) > LONGEST_BYTES else b"")
        if whole:
            events, log = self._apart(whole)
            self._append(events, log, read=self.read + len(whole))
        return len(whole)

    def complete(self, file: Path) -> None:
        """Take the lines of `file`, where the entry kept them too, that have not come."""
        if not file.exists():
            return
        rest = file.read_bytes().splitlines(keepends=True)[self.events :]
        if lines := [line for line in rest if line.endswith(b"\n")]:
            self._append(lines, b"", read=self.read)

    def _apart(self, whole: bytes) -> tuple[list[bytes], bytes]:
        """The event lines that are new, and the rest."""
        events: list[bytes] = []
        rest: list[bytes] = []
        for line in whole.splitlines(keepends=True):
            before, found, after = line.partition(self._mark)
            number, _, event = after.partition(b" ")
            if not found or not number.isdigit():
                rest.append(line)
                continue
            if before:
                rest.append(before + b"\n")
            if int(number) == self.events + len(events):
                events.append(event)
        return events, b"".join(rest)

    def _append(self, events: list[bytes], log: bytes, *, read: int) -> None:
        """Write ahead how long our files are: what a crash leaves half written is cut off and read again."""
        state = {"read": self.read, "events": self.events}
        parts = {self._folder.events: b"".join(events), self._folder.log: log}
        parts = {path: content for path, content in parts.items() if content}
        write_json(self._kept, {**state, "before": {path.name: _size(path) for path in parts}})
        for path, content in parts.items():
            with path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        self.read, self.events = read, self.events + len(events)
        write_json(self._kept, {"read": self.read, "events": self.events})


class Departures:
    """There: what was added to a file of event lines since the last look, ready for the output."""

    def __init__(self, file: Path, token: str) -> None:
        """`file` need not exist yet."""
        self._file, self._mark = file, mark(token)
        self._offset = self._number = 0

    def __iter__(self) -> Iterator[bytes]:
        """New whole lines, marked and numbered."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield self._mark + str(self._number).encode() + b" " + line
                self._offset += len(line)
                self._number += 1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
