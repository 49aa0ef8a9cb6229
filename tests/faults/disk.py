"""A disk in memory that SQLite writes to: an apsw VFS that keeps a log of every call and can be told to fail.

It is POSIX as far as SQLite looks: files are inodes, so a file that is deleted lives on for who has it open, and locks
are per open file. What a power failure makes of the log is `power.py`'s business, which call fails is `sweep.py`'s.
Shared memory is not simulated, so a write-ahead log needs `locking_mode=exclusive` here.
"""

# ruff: noqa: N802 - the methods are named as SQLite names them
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import apsw

SECTOR_BYTES = 4096
SHARED, RESERVED, PENDING, EXCLUSIVE = 1, 2, 3, 4
JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One thing that changes what is on the disk, or a `note` of the test's own."""

    kind: str
    """`link`, `unlink`, `write`, `truncate`, `sync`, `sync_folder` or `note`."""
    name: str = ""
    inode: int = 0
    offset: int = 0
    """Of a truncate: the new size."""
    data: bytes = b""
    note: object = None


@dataclass
class Inode:
    """What a name stands for."""

    content: bytearray = field(default_factory=bytearray)
    number: int = field(default_factory=lambda: next(_numbers))
    locks: dict[int, int] = field(default_factory=dict)
    """Open file → level."""


class Disk(apsw.VFS):
    """Use as a context manager; `name` is what a connection asks for as its `vfs`."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """`files` are there from the start, and safe."""
        self.inodes = {name: Inode(bytearray(content)) for name, content in (files or {}).items()}
        self.start = {name: (inode.number, bytes(inode.content)) for name, inode in self.inodes.items()}
        self.log: list[Call] = []
        self.before: Callable[[str, str], None] = lambda _kind, _name: None
        """Asked before each call with its kind and file; what it raises is what SQLite sees."""
        self.name = f"disk{next(_numbers)}"
        super().__init__(self.name, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.unregister()

    @property
    def files(self) -> dict[str, bytes]:
        """What a process that looks now sees: a kill -9 leaves this."""
        return {name: bytes(inode.content) for name, inode in self.inodes.items()}

    def note(self, what: object) -> None:
        """Put a remark into the log, between what happened before and after."""
        self.log.append(Call(kind="note", note=what))

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, name: str, _flags: int) -> bool:
        self.before("access", name)
        return name in self.inodes

    def xOpen(self, name: object, flags: list[int]) -> "File":
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.before("open", path)
        fresh = path not in self.inodes
        if fresh:
            if name is not None and not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError("no such file")
            self.inodes[path] = Inode()
            self.log.append(Call(kind="link", name=path, inode=self.inodes[path].number))
        flags[1] = flags[0]
        settles = bool(flags[0] & JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        return File(self, path, settles=settles)

    def xDelete(self, name: str, syncdir: bool) -> None:
        self.before("delete", name)
        if name not in self.inodes:
            raise failure(apsw.IOError, apsw.SQLITE_IOERR_DELETE_NOENT)
        del self.inodes[name]
        self.log.append(Call(kind="unlink", name=name))
        if syncdir:
            self.log.append(Call(kind="sync_folder"))


class File:
    """An open file. Methods and their numbers are SQLite's own: https://sqlite.org/c3ref/io_methods.html."""

    def __init__(self, disk: Disk, name: str, *, settles: bool) -> None:
        """With `settles` its first sync syncs the folder too, as SQLite's unix VFS does for a journal it made."""
        self._disk, self._name, self._settles = disk, name, settles
        self._inode = disk.inodes[name]

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.before("read", self._name)
        return bytes(self._inode.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before("write", self._name)
        put(self._inode.content, bytes(data), offset)
        self._log("write", offset=offset, data=bytes(data))

    def xTruncate(self, size: int) -> None:
        self._disk.before("truncate", self._name)
        cut(self._inode.content, size)
        self._log("truncate", offset=size)

    def xSync(self, _flags: int) -> None:
        self._disk.before("sync", self._name)
        self._log("sync")
        if self._settles:
            self._disk.log.append(Call(kind="sync_folder"))
            self._settles = False

    def xFileSize(self) -> int:
        self._disk.before("size", self._name)
        return len(self._inode.content)

    def xLock(self, level: int) -> None:
        self._disk.before("lock", self._name)
        locks, me = self._inode.locks, id(self)
        others = max((held for who, held in locks.items() if who != me), default=0)
        if level == EXCLUSIVE and others < PENDING:
            locks[me] = PENDING
        if others >= {SHARED: PENDING, RESERVED: RESERVED, PENDING: PENDING, EXCLUSIVE: SHARED}[level]:
            raise apsw.BusyError("held")
        locks[me] = max(level, locks.get(me, 0))

    def xUnlock(self, level: int) -> None:
        self._inode.locks[id(self)] = level

    def xCheckReservedLock(self) -> bool:
        return any(held >= RESERVED for who, held in self._inode.locks.items() if who != id(self))

    def xClose(self) -> None:
        self._inode.locks.pop(id(self), None)

    def xFileControl(self, _op: int, _pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def _log(self, kind: str, *, offset: int = 0, data: bytes = b"") -> None:
        self._disk.log.append(Call(kind=kind, name=self._name, inode=self._inode.number, offset=offset, data=data))


def put(content: bytearray, data: bytes, offset: int) -> None:
    """Write as POSIX does: a hole before `offset` is zeros."""
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def cut(content: bytearray, size: int) -> None:
    """Truncate as POSIX does: longer is zeros too."""
    del content[size:]
    content.extend(bytes(size - len(content)))


def failure(kind: type[apsw.Error], extended: int) -> apsw.Error:
    """An error that SQLite receives with its extended code."""
    error = kind("as the test wants")
    error.extendedresult = extended
    return error
