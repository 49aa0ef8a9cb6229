"""apsw, dressed as the few parts of `sqlite3` that `mlaas_lab.store` uses, so that the real store runs on a fault disk.

    with Disk() as disk:
        monkeypatch.setattr("mlaas_lab.store.connection.sqlite3", StandIn(disk))
        Store(path)  # every read, write and sync of it goes to the disk in memory

Errors are the standard library's own, with their codes. It also lets a test see every statement before it runs, and
sabotage the store by putting one statement in another's place.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw
from faults.disk import Disk

KINDS: dict[type[apsw.Error], type[sqlite3.Error]] = {
    apsw.CorruptError: sqlite3.DatabaseError,
    apsw.NotADBError: sqlite3.DatabaseError,
    apsw.ConstraintError: sqlite3.IntegrityError,
    apsw.MisuseError: sqlite3.InterfaceError,
}


class Row:
    """Values by position and by name, as `sqlite3.Row`."""

    def __init__(self, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self.names, self.values = names, values

    def keys(self) -> tuple[str, ...]:
        return self.names

    def __getitem__(self, key: Any) -> Any:
        return self.values[self.names.index(key) if isinstance(key, str) else key]


class StandIn:
    """What the store sees as the module `sqlite3`; what is not here is the real module's."""

    def __init__(
        self,
        disk: Disk | None,
        *,
        version: str = apsw.sqlite_lib_version(),
        instead: Mapping[str, str] | None = None,
        first: Sequence[str] = (),
    ) -> None:
        """`instead` maps statements to what is run in their place; `first` runs on each new connection.

        Without a disk, connections use files as they are, through apsw's newer SQLite; `version` is what it claims to be.
        """
        self._disk = disk
        self._instead = dict(instead or {})
        self._first = first
        self.sqlite_version = version
        self.sqlite_version_info = tuple(int(part) for part in self.sqlite_version.split("."))
        self.seen: Callable[[str], None] = lambda _sql: None

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, path: Any, timeout: float = 5.0, **_options: Any) -> "Connection":
        db = called(lambda: apsw.Connection(str(path), vfs=self._disk.name if self._disk else None))
        db.set_busy_timeout(int(timeout * 1000))
        connection = Connection(db, self)
        for statement in self._first:
            connection.execute(statement)
        return connection

    def translated(self, sql: str) -> str:
        """The statement that is run, which `seen` hears of."""
        self.seen(sql)
        return self._instead.get(sql, sql)


class Connection:
    """`sqlite3.Connection`, as far as the store goes."""

    row_factory: Any = None

    def __init__(self, db: apsw.Connection, module: StandIn) -> None:
        self._db, self._module = db, module

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, values: Sequence[object] = ()) -> "Cursor":
        ready = self._module.translated(sql)
        return Cursor(called(lambda: self._db.execute(ready, tuple(values))))

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        for values in rows:
            self.execute(sql, values)

    def backup(self, target: "Connection") -> None:
        def copy() -> None:
            with target._db.backup("main", self._db, "main") as copying:
                while not copying.done:
                    copying.step()

        called(copy)

    def close(self) -> None:
        called(self._db.close)


class Cursor:
    """`sqlite3.Cursor`, as far as the store goes."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor
        cursor.row_trace = _named

    def fetchone(self) -> Row | None:
        return called(lambda: next(self._cursor, None))

    def fetchall(self) -> list[Row]:
        return called(lambda: list(self._cursor))


def called(act: Callable[[], Any]) -> Any:
    """What `act` returns; apsw's errors become the standard library's, as that raises them."""
    try:
        return act()
    except apsw.NoMemError as error:
        raise MemoryError from error
    except apsw.Error as error:
        if error.extendedresult == apsw.SQLITE_IOERR_NOMEM:
            raise MemoryError from error
        kind = KINDS.get(type(error), sqlite3.OperationalError)
        ours = kind(str(error))
        ours.sqlite_errorcode = error.extendedresult if error.extendedresult > 0 else error.result
        raise ours from error


def _named(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    return Row(tuple(column[0] for column in cursor.get_description()), values)
