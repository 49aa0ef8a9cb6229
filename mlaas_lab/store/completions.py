"""Answers by what was asked for them: a cache that all evaluations of a user share, and that nobody needs.

Whatever is wrong with it costs its answers and no job: a file that is locked or cannot be written is done without, one
that is damaged is thrown away, each with one note. It is bounded, because nobody asks again for answers of weights that
were replaced; the oldest go first, so that reading need not write. It knows bytes, and no target or message.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TypeVar

from mlaas_lab.store.connection import journal_mode

NAME = "completions-1.sqlite3"
"""File in the cache's folder; the number is that of its form: no version reads what another one means otherwise."""
LIMIT_BYTES = 2**30
"""About 500,000 answers of a paragraph each."""
BUSY_MS = 5_000
LOOK_UP = 1_000
"""Keys in one query."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Result = TypeVar("Result")


class Completions:
    """The SQLite file; safe to share between threads, and between processes that each open it."""

    def __init__(
        self, path: Path, *, note: Callable[[str], None], limit_bytes: int = LIMIT_BYTES, busy_ms: int = BUSY_MS
    ) -> None:
        """Open or create the file at `path`.

        Args:
            path: `NAME` in the cache's folder.
            note: called once, with why the cache is done without, if it is.
            limit_bytes: how much it may hold.
            busy_ms: how long others may keep it locked.
        """
        self.path = path
        self._note = note
        self._limit_bytes = limit_bytes
        self._busy_ms = busy_ms
        self._turn = RLock()
        self._db: sqlite3.Connection | None = None
        self._tried(self._open)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The answers that are there, by their keys; what was altered on the disk is not."""
        wanted, found = list(keys), dict[bytes, bytes]()
        for start in range(0, len(wanted), LOOK_UP):
            found |= self._tried(self._look_up, wanted[start : start + LOOK_UP]) or {}
        return found

    def keep(self, answers: Mapping[bytes, bytes]) -> None:
        """Write answers by their keys, instead of older ones; past the bound, the oldest of all go."""
        self._tried(self._write, answers)

    def close(self) -> None:
        """Give the file back."""
        with self._turn:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _tried(self, work: Callable[..., Result], *values: object) -> Result | None:
        """What `work` returns; None without the cache, which is given up at the first thing that goes wrong."""
        with self._turn:
            if self._db is None and work != self._open:
                return None
            try:
                return work(*values)
            except (sqlite3.Error, OSError) as error:
                self.close()
                self._give_up(error)
                return None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(
            self.path, timeout=self._busy_ms / 1000, isolation_level=None, check_same_thread=False
        )
        self.path.chmod(0o600)
        self._db.execute(f"pragma journal_mode={journal_mode(sqlite3.sqlite_version_info)}")
        # Answers may be lost in a power failure, the form of the file may not.
        self._db.execute("pragma synchronous=normal")
        self._db.execute(
            "create table if not exists completions (key blob primary key, value blob not null, crc integer not null)"
        )

    def _look_up(self, keys: list[bytes]) -> dict[bytes, bytes]:
        marks = ",".join("?" * len(keys))
        rows = self._connection.execute(f"select key, value, crc from completions where key in ({marks})", keys)  # noqa: S608
        return {key: value for key, value, crc in rows if crc == zlib.crc32(key + value)}

    def _write(self, answers: Mapping[bytes, bytes]) -> None:
        rows = [(key, value, zlib.crc32(key + value)) for key, value in answers.items()]
        with self._transaction() as db:
            db.executemany("insert or replace into completions (key, value, crc) values (?, ?, ?)", rows)
        if self._size_bytes() > self._limit_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        with self._transaction() as db:
            while self._size_bytes() > self._limit_bytes:
                (n,) = db.execute("select count(*) from completions").fetchone()
                if not n:
                    return
                oldest = "select rowid from completions order by rowid limit ?"
                db.execute(f"delete from completions where rowid in ({oldest})", (n // 10 + 1,))  # noqa: S608

    def _size_bytes(self) -> int:
        """Of the pages that hold something: those of dropped answers are used again."""
        names = ("page_count", "freelist_count", "page_size")
        count, free, size = (self._connection.execute(f"pragma {name}").fetchone()[0] for name in names)
        return int((count - free) * size)

    def _transaction(self) -> sqlite3.Connection:
        """The connection as a context manager that commits, or rolls back, a transaction that has begun."""
        self._connection.execute("begin immediate")
        return self._connection

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._db is not None, "only called where it is open"  # noqa: S101
        return self._db

    def _give_up(self, error: Exception) -> None:
        damaged = isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED
        if not damaged:
            self._note(f"answers are not taken from the cache or kept there: {self.path}: {error}.")
            return
        self._note(f"the cache of answers was damaged and is thrown away: {self.path}: {error}.")
        for ending in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                self.path.with_name(self.path.name + ending).unlink()
