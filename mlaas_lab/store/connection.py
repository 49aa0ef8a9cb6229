"""One SQLite connection that keeps what it acknowledged.

`synchronous=FULL` always. Write-ahead logging only where SQLite's WAL-reset race is mended (3.51.3, 3.50.7, 3.44.6);
before that several connections on one WAL file can lose commits, so the rollback journal is used.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from mlaas_lab.errors import StoreError
from mlaas_lab.store.migrations import MIGRATIONS

BUSY_MS = 20_000


class Database:
    """A connection that threads take turns on."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path` and bring its schema up to date.

        Raises:
            StoreError: if it cannot be opened, is damaged, or was written by a newer version.
        """
        self.path = path
        self._turn = RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            path.chmod(0o600)
            self._db.execute(f"pragma journal_mode={journal_mode(sqlite3.sqlite_version_info)}")
            self._db.execute("pragma synchronous=full")
            self._db.execute("pragma foreign_keys=on")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the file to itself: what is read in it is still true when it is written.

        Raises:
            StoreError: if the disk is full, read-only or broken; nothing of the transaction stays.
        """
        with self._turn:
            try:
                self._db.execute("begin immediate")
            except sqlite3.Error as error:
                raise self._explained(error) from error
            try:
                yield self._db
                self._db.execute("commit")
            except sqlite3.Error as error:
                self._rollback()
                raise self._explained(error) from error
            except BaseException:
                self._rollback()
                raise

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Rows of a query.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self._turn:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._explained(error) from error

    def close(self) -> None:
        """Give the file back."""
        with self._turn:
            self._db.close()

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.write() as db:
            version = self._version()
            if version > len(MIGRATIONS):
                raise StoreError(f"{self.path} was written by a newer mlaas_lab.", next="pip install -U mlaas_lab")
            for migration in MIGRATIONS[version:]:
                migration(db)
            db.execute(f"pragma user_version={len(MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._db.execute("pragma user_version").fetchone()[0])

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("rollback")

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(
            f"the store {self.path} cannot be used: {error}.",
            next="Check that its folder is writable and its disk has room, or set MLAAS_DATA_DIR.",
        )


def journal_mode(version: tuple[int, ...]) -> str:
    """`wal` where the reset race is mended, else `delete`."""
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "wal" if mended else "delete"
