"""One SQLite connection that keeps what it acknowledged.

A commit returns when it is on the disk: `synchronous=FULL`, and a journal that ends a transaction by a truncation which
is synced too. (The journal that is deleted instead may come back after a power failure and undo the last commit.)
Write-ahead logging is used only where SQLite's WAL-reset race is mended (3.51.3, 3.50.7, 3.44.6) and the file lies on
this machine; and only in files that began with it, so that an older SQLite never finds itself in a log by surprise.
"""

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from mlaas_lab.durable import settle
from mlaas_lab.errors import StoreError
from mlaas_lab.store.failures import HELD, code, damaged, explained
from mlaas_lab.store.filesystem import filesystem, is_network
from mlaas_lab.store.migrations import MIGRATIONS, Migration

BUSY_S = 30.0
"""How long a process waits for others; a transaction takes about a millisecond."""
POLL_S = 0.002
"""The longest pause between two looks; SQLite's own grow to 100 ms, by which one of many waits for seconds."""
CHECKED_BYTES = 64_000_000
"""A file up to here is checked whole at open: 10,000 jobs are 11 MB and take 25 ms. A larger one is only when asked."""


class Database:
    """A connection that threads take turns on."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Open or create the file at `path` and bring its schema up to date; a file that is too new stays untouched.

        Raises:
            StoreError: if it cannot be opened, is damaged, or was written by a newer version.
        """
        self.path = path
        self._migrations = migrations
        self._turn = RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            path.chmod(0o600)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError, MemoryError) as error:
            raise explained(error, path) from error
        try:
            self._begin()
        except (sqlite3.Error, OSError, MemoryError) as error:
            self._db.close()
            raise explained(error, path) from error
        except StoreError:
            self._db.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the file to itself: what is read in it is still true when it is written.

        Raises:
            StoreError: if the disk is full, read-only or broken, or others hold the file for too long; nothing of the
                transaction stays. Its `temporary` says whether waiting helps.
        """
        with self._turn:
            done = False
            try:
                self._run("begin immediate")
                if not self._log_is_safe and self._asked("pragma journal_mode") == "wal":
                    raise self._log_in_use()
                yield self._db
                self._run("commit")
                done = True
            except (sqlite3.Error, MemoryError) as error:
                raise explained(error, self.path) from error
            finally:
                if not done:
                    self._rollback()

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Rows of a query.

        Raises:
            StoreError: if the file cannot be read.
        """
        with self._turn:
            try:
                return self._run(sql, *values).fetchall()
            except (sqlite3.Error, MemoryError) as error:
                raise explained(error, self.path) from error

    def check(self) -> None:
        """Read the whole file, and find what is not as SQLite left it.

        Raises:
            StoreError: if something is.
        """
        found = self.read("pragma quick_check(1)")[0][0]
        if found != "ok":
            raise damaged(self.path, found)

    def close(self) -> None:
        """Give the file back."""
        with self._turn:
            self._db.close()

    def _begin(self) -> None:
        """Look first, write then."""
        self._db.row_factory = sqlite3.Row
        if self._version() > len(self._migrations):
            raise self._too_new()
        if self.path.stat().st_size <= CHECKED_BYTES:
            self.check()
        self._choose_journal()
        self._db.execute("pragma synchronous=full")
        self._db.execute("pragma foreign_keys=on")
        self._migrate()

    def _choose_journal(self) -> None:
        network = is_network(filesystem(self.path))
        self._log_is_safe = journal_mode(sqlite3.sqlite_version_info, network=network) == "wal"
        logged = self._asked("pragma journal_mode") == "wal"
        begun_with_it = logged or self._version() == 0
        if self._log_is_safe and begun_with_it and self._asked("pragma journal_mode=wal") == "wal":
            return
        try:
            self._run("pragma journal_mode=truncate")
        except sqlite3.Error as error:
            if logged and code(error) in HELD:
                raise self._log_in_use() from error
            raise

    def _migrate(self) -> None:
        if self._version() == len(self._migrations):
            return
        with self.write() as db:
            version = self._version()
            if version > len(self._migrations):
                raise self._too_new()
            if 0 < version < len(self._migrations):
                self._keep(version)
            for migration in self._migrations[version:]:
                migration(db)
            db.execute(f"pragma user_version={len(self._migrations)}")

    def _keep(self, version: int) -> None:
        """Copy the file as it is to `NAME.vN.bak` beside it, whole or not at all; that we may write keeps it still."""
        kept = self.path.with_name(f"{self.path.name}.v{version}.bak")
        part = kept.with_suffix(".part")
        for left in (part, part.with_name(f"{part.name}-journal")):
            left.unlink(missing_ok=True)
        part.touch(mode=0o600)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        part.replace(kept)
        settle(kept.parent)

    def _run(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run a statement as soon as others let it; a commit that must wait for readers keeps its transaction."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                return self._db.execute(sql, values)
            except sqlite3.Error as error:
                if code(error) not in HELD or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0, POLL_S))  # noqa: S311 - who goes next is no secret

    def _version(self) -> int:
        return int(self._asked("pragma user_version"))

    def _asked(self, pragma: str) -> Any:
        return self._run(pragma).fetchone()[0]

    def _rollback(self) -> None:
        # A disk that fails may fail here too; then the journal stays, and the next to open the file rolls back.
        with suppress(sqlite3.Error, MemoryError):
            if self._db.in_transaction:
                self._db.execute("rollback")

    def _too_new(self) -> StoreError:
        return StoreError(
            f"the store {self.path} was written by a newer mlaas_lab; it was not touched.",
            next="pip install -U mlaas_lab, or set MLAAS_DATA_DIR to another folder.",
        )

    def _log_in_use(self) -> StoreError:
        return StoreError(
            f"the store {self.path} is in use through a write-ahead log, which is not safe here"
            f" (SQLite {sqlite3.sqlite_version} on {filesystem(self.path)}).",
            next="Close the notebooks and jobs that use it and try again, or run all of them with one Python.",
        )


def journal_mode(version: tuple[int, ...], *, network: bool = False) -> str:
    """`wal` where the reset race is mended and the file is on this machine, else `truncate`."""
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "wal" if mended and not network else "truncate"
