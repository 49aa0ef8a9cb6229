"""What came since records were read: answers that were measured, and what others said and signed.

It counts, and looks at a file again only when that grew, so that it can be asked every few seconds.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from mlaas_lab import records
from mlaas_lab.reviewing import spoken
from mlaas_lab.store.beside import decisions_of, reviews_of
from mlaas_lab.view.formats import count

Words = Counter[tuple[str, str]]
"""(what it is, whose) → how many."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """How much there is."""

    answers: int = 0
    words: Words = field(default_factory=Counter)

    def since(self, before: "Known", own: Collection[str]) -> str:
        """What is more than `before`, in a few words; what those named `own` said they know."""
        more = Counter({"answer": max(0, self.answers - before.answers)})
        for (kind, by), n in self.words.items():
            if by not in own:
                more[kind] += max(0, n - before.words[kind, by])
        return ", ".join(f"{count(n)} new {kind}{'s' if n > 1 else ''}" for kind, n in more.items() if n)


class News:
    """Looks at the tables of records, and at what lies beside them."""

    def __init__(self, tables: Iterable[Path]) -> None:
        """`tables` are looked at when somebody asks."""
        self._tables = [*dict.fromkeys(tables)]
        self._turn = Lock()
        self._stamps: dict[Path, tuple[object, ...]] = {}
        self._found: dict[Path, Known] = {}

    def now(self) -> Known:
        """How much there is now."""
        with self._turn:
            found = [self._of(table) for table in self._tables]
        return Known(answers=sum(one.answers for one in found), words=sum((one.words for one in found), Counter()))

    def _of(self, table: Path) -> Known:
        beside = [*sorted(reviews_of(table).glob("review-*.jsonl")), decisions_of(table)]
        stamps = tuple(map(_stamp, (table, records.journal_of(table), *beside)))
        if self._stamps.get(table) != stamps:
            self._stamps[table] = stamps
            self._found[table] = Known(answers=records.counted(table), words=spoken.words(table))
        return self._found[table]


def _stamp(path: Path) -> tuple[Path, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return path, found.st_size, found.st_mtime_ns
