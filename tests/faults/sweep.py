"""The n-th call fails, for n = 1, 2, 3, … until a run comes through: every place where a disk can fail, once each.

for fault in sweep(IOERR):
    with Disk(files) as disk:
        disk.before = fault
        …  # what is tested; `fault.mend()` lets the disk work again
"""

from collections.abc import Iterator
from dataclasses import dataclass

import apsw
from faults.disk import failure


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a call fails."""

    name: str
    error: type[apsw.Error]
    extended: int
    calls: frozenset[str]
    """Which calls can fail so."""


WRITING = frozenset({"write", "truncate", "sync", "delete"})
FULL = Kind(name="full", error=apsw.FullError, extended=apsw.SQLITE_FULL, calls=frozenset({"write", "truncate"}))
IOERR = Kind(
    name="ioerr",
    error=apsw.IOError,
    extended=apsw.SQLITE_IOERR,
    calls=WRITING | {"open", "read", "access", "size", "lock"},
)
# A file system says IOERR_NOMEM; after a plain NOMEM from a rollback SQLite would go on with pages it did not roll back.
NOMEM = Kind(name="nomem", error=apsw.IOError, extended=apsw.SQLITE_IOERR_NOMEM, calls=IOERR.calls)
NO_HANDLE = Kind(
    name="too many open files", error=apsw.CantOpenError, extended=apsw.SQLITE_CANTOPEN, calls=frozenset({"open"})
)


class Fault:
    """Asked before each call of a `Disk`: the `n`-th fails, and with `lasting` all that follow."""

    def __init__(self, kind: Kind, n: int, *, lasting: bool = False) -> None:
        """Counts only calls that can fail so."""
        self.kind, self.n, self.lasting = kind, n, lasting
        self.struck = False
        self._seen = 0
        self._mended = False

    def mend(self) -> None:
        """From now on nothing fails."""
        self._mended = True

    def __call__(self, call: str, _name: str) -> None:
        if self._mended or call not in self.kind.calls:
            return
        self._seen += 1
        if self._seen == self.n or (self.lasting and self._seen > self.n):
            self.struck = True
            raise failure(self.kind.error, self.kind.extended)


def sweep(kind: Kind, *, lasting: bool = False, limit: int = 100_000) -> Iterator[Fault]:
    """A fault for each n, until one was not struck: then what is tested made fewer than n calls."""
    for n in range(1, limit):
        fault = Fault(kind, n, lasting=lasting)
        yield fault
        if not fault.struck:
            return
    raise AssertionError(f"still failing at call {limit}")
