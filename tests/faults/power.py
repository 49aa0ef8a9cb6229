"""The power fails: which files a disk may hold afterwards, at any point of a `Disk`'s log.

What was synced is there. Of what was not, each 512-byte sector of each write is there or not, whatever its order
(dropped, reordered and torn writes), a truncation happened or not, and of the folder's changes a prefix. A new name is
there once its file was synced (ext4, XFS, Btrfs) or the folder was. Bytes beside a write are never harmed
(`SQLITE_IOCAP_POWERSAFE_OVERWRITE`, which SQLite assumes of every disk).
"""

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from faults.disk import Call, Disk, cut, put

TORN_BYTES = 512
LUCK = (0.0, 0.0, 0.5, 0.5, 0.9, 1.0)
"""How likely what was not synced is there all the same: one value for the whole disk at one crash."""


@dataclass(frozen=True, kw_only=True)
class Crash:
    """One power failure."""

    point: int
    """How many calls of the log came before it."""
    files: dict[str, bytes]
    """What the disk holds."""
    notes: tuple[object, ...]
    """The test's own remarks that came before it: what had been acknowledged."""


@dataclass
class _Platter:
    """What is safe, and what is not yet."""

    safe: dict[int, bytearray] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    loose: dict[int, list[Call]] = field(default_factory=dict)
    moves: list[Call] = field(default_factory=list)
    """Names made and dropped since the folder was synced."""

    def take(self, call: Call) -> None:
        match call.kind:
            case "link" | "unlink":
                self.moves.append(call)
            case "write" | "truncate":
                self.loose.setdefault(call.inode, []).append(call)
            case "sync":
                content = self.safe.setdefault(call.inode, bytearray())
                for one in self.loose.pop(call.inode, []):
                    _apply(content, one, _whole)
                made = [at for at, move in enumerate(self.moves) if move.inode == call.inode]
                self._settle(made[-1] + 1 if made else 0)
            case "sync_folder":
                self._settle(len(self.moves))

    def cut_off(self, chance: random.Random) -> dict[str, bytes]:
        """The files, after the power failed now."""
        luck = chance.choice(LUCK)
        names = dict(self.names)
        self._move(sum(chance.random() < luck for _ in self.moves), names)
        found = {}
        for name, inode in names.items():
            content = bytearray(self.safe.get(inode, b""))
            for call in self.loose.get(inode, ()):
                _apply(content, call, lambda: chance.random() < luck)
            found[name] = bytes(content)
        return found

    def _settle(self, n: int) -> None:
        """Names are safe in the order they changed in."""
        self._move(n, self.names)
        del self.moves[:n]

    def _move(self, n: int, names: dict[str, int]) -> None:
        for move in self.moves[:n]:
            if move.kind == "link":
                names[move.name] = move.inode
            else:
                names.pop(move.name, None)


def crashes(disk: Disk, points: Collection[int], seed: int) -> Iterator[Crash]:
    """A crash at each of `points` in the log of `disk`; the same seed gives the same ones."""
    platter = _Platter()
    for name, (inode, content) in disk.start.items():
        platter.names[name], platter.safe[inode] = inode, bytearray(content)
    notes: list[object] = []
    for point in range(len(disk.log) + 1):
        if point in points:
            chance = random.Random(f"{seed} {point}")
            yield Crash(point=point, files=platter.cut_off(chance), notes=tuple(notes))
        if point < len(disk.log):
            call = disk.log[point]
            notes += [call.note] if call.kind == "note" else []
            platter.take(call)


def sync_boundaries(disk: Disk) -> list[int]:
    """The points just before and just after each sync, and where something was acknowledged."""
    near = [(at, at + 1) for at, call in enumerate(disk.log) if call.kind in ("sync", "sync_folder", "note")]
    return sorted({point for pair in near for point in pair})


def _whole() -> bool:
    return True


def _apply(content: bytearray, call: Call, kept: Callable[[], bool]) -> None:
    """Do a write sector by sector, or a truncation, as far as it is `kept`."""
    if call.kind == "truncate":
        if kept():
            cut(content, call.offset)
        return
    if kept is _whole:
        put(content, call.data, call.offset)
        return
    start, end = call.offset, call.offset + len(call.data)
    while start < end:
        stop = min(end, (start // TORN_BYTES + 1) * TORN_BYTES)
        if kept():
            put(content, call.data[start - call.offset : stop - call.offset], start)
        start = stop
