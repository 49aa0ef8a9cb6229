"""What SQLite and the disk say when something goes wrong, in words a user can act on.

`temporary` on a StoreError means that the same call may succeed later without anybody's touching the store: the disk is
full, memory or file handles are short, or others hold the file. Whoever can wait does so with `patience`.
"""

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

import psutil

from mlaas_lab.errors import StoreError

ROOM_BYTES = 1_000_000
"""What must fit beside the store for it to go on: a transaction, its journal, and some to spare."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
SHORT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


def code(error: BaseException) -> int:
    """SQLite's primary result code, or 0 for an error that is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def explained(error: BaseException, path: Path) -> StoreError:
    """What happened to the store at `path`, and what to do about it."""
    kind = code(error)
    if isinstance(error, MemoryError):
        return _refused(path, "memory ran out", "Close other programs.", temporary=True)
    if kind in HELD:
        return _held(path)
    if kind in BROKEN:
        return damaged(path, str(error))
    if kind == sqlite3.SQLITE_FULL:
        return _full(path)
    if kind in DISK:
        return _disk(path, _probed(path.parent), str(error))
    if isinstance(error, OSError):
        return _disk(path, error, str(error))
    return _refused(path, str(error), "`doctor` says what is wrong.")


def damaged(path: Path, how: str) -> StoreError:
    """The file is not what SQLite left there."""
    kept = sorted(path.parent.glob(f"{path.name}.v*.bak"), key=lambda copy: copy.stat().st_mtime)
    instead = f"put {kept[-1].name} in its place" if kept else "a new one is begun without it"
    return _refused(
        path,
        f"it is damaged ({how})",
        f"Stop what uses it and move it and its -journal or -wal away; {instead}. Jobs' folders keep what they made.",
    )


def _held(path: Path) -> StoreError:
    others = ", ".join(_holders(path)) or "a process that cannot be named"
    return _refused(path, f"others kept it busy for too long: {others}", "Try again; nothing was lost.", temporary=True)


def _full(path: Path) -> StoreError:
    try:
        free = f"{psutil.disk_usage(str(path.parent)).free:,} are free"
    except OSError:
        free = "how many are free cannot be read"
    why = f"the disk is full, or a quota is used up: {ROOM_BYTES:,} bytes are needed to go on, {free}"
    return _refused(path, why, f"Free some room on the disk of {path.parent}; `prune` helps.", temporary=True)


def _disk(path: Path, refusal: OSError | None, said: str) -> StoreError:
    """`refusal` is what the operating system answered, where SQLite does not say it."""
    number = refusal.errno if refusal is not None else None
    if number in FULL:
        return _full(path)
    if number in SHORT_OF_FILES:
        why = "this process has too many files open"
        return _refused(path, why, "Close some, or raise the limit (ulimit -n).", temporary=True)
    if number in FORBIDDEN:
        why = f"its folder cannot be written ({os.strerror(number or 0)})"
        return _refused(path, why, "Make it writable, or set MLAAS_DATA_DIR to a folder that is.")
    why = f"the disk answered with an error ({said if refusal is None else refusal.strerror or refusal})"
    return _refused(path, why, "Check the disk, or set MLAAS_DATA_DIR to a folder on another one.")


def _refused(path: Path, why: str, next: str, *, temporary: bool = False) -> StoreError:
    return StoreError(f"the store {path} cannot be used: {why}.", next=next, temporary=temporary)


def _probed(folder: Path) -> OSError | None:
    """What the operating system says to a file of ROOM_BYTES in `folder`; SQLite keeps that to itself."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _holders(path: Path) -> list[str]:
    """The other processes that have the file open, as `python (123)`; their command lines are not for showing."""
    found, place = [], str(path.resolve())
    for process in psutil.process_iter(["name", "open_files"]):
        files = process.info["open_files"] or ()
        if process.pid != os.getpid() and any(file.path == place for file in files):
            found.append(f"{process.info['name']} ({process.pid})")
    return found
