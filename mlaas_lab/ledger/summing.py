"""The ledger added up by any of its columns: what was spent, what is held, and what nobody knows.

A sum that misses something says so and is a lower bound; one of nothing but unknown prices is None. It reads no file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mlaas_lab.store.spending import MICRO, Charge, Entry, Hold

TODAY = "held now"
"""The day of what is held: nobody knows yet on which it will be spent."""


class By(StrEnum):
    """A column of the ledger."""

    KIND = "kind"
    TARGET = "target"
    DAY = "day"
    PROJECT = "project"
    NOTEBOOK = "notebook"
    JOB = "job"


@dataclass(kw_only=True)
class Sum:
    """What some entries and holds come to, in micro-dollars."""

    spent: int = 0
    held: int = 0
    unknown: int = 0
    """At most: what may have been billed besides."""
    n: int = 0
    """Calls."""
    n_unknown: int = 0
    n_unpriced: int = 0
    seconds: float = 0.0
    """Of a machine."""
    unpriced_s: float = 0.0
    sources: dict[str, set[str]] = field(default_factory=dict)
    """Where prices come from, and the days of each."""

    @property
    def at_least(self) -> bool:
        """Something in it has no price."""
        return bool(self.n_unpriced or self.unpriced_s)

    @property
    def spent_usd(self) -> float | None:
        """What is known to be spent; None if nothing in it has a price."""
        priced = self.spent or self.n > self.n_unpriced or self.seconds > self.unpriced_s
        return self.spent / MICRO if priced or not self.at_least else None

    @property
    def held_usd(self) -> float:
        """For what is in flight."""
        return self.held / MICRO

    @property
    def unknown_usd(self) -> float:
        """At most: what may have been billed besides."""
        return self.unknown / MICRO

    def add(self, charge: Charge) -> None:
        """Count a charge in."""
        self.spent += charge.spent
        self.unknown += charge.unknown
        self.n += charge.n
        self.n_unknown += charge.n_unknown
        self.n_unpriced += charge.n_unpriced
        self.seconds += charge.seconds
        self.unpriced_s += charge.unpriced_s
        if charge.source:
            self.sources.setdefault(charge.source, set()).update({charge.price_date} - {""})


def summed(entries: Iterable[Entry], holds: Iterable[Hold], by: Sequence[By]) -> dict[tuple[str, ...], Sum]:
    """Sums by the values of `by`, the dearest first; days in their order."""
    found: dict[tuple[str, ...], Sum] = {}
    for one in entries:
        words = {"day": one.day, "kind": str(one.charge.kind), "target": one.charge.target}
        key = tuple(words[part] if part in words else str(getattr(one.payer, part)) for part in by)
        found.setdefault(key, Sum()).add(one.charge)
    for hold in holds:
        words = {"day": TODAY, "kind": str(hold.kind), "target": hold.target}
        key = tuple(words[part] if part in words else str(getattr(hold.payer, part)) for part in by)
        if hold.amount:
            found.setdefault(key, Sum()).held += hold.amount
    if By.DAY in by:
        return dict(sorted(found.items(), key=lambda item: (item[0][by.index(By.DAY)], -_size(item[1]))))
    return dict(sorted(found.items(), key=lambda item: -_size(item[1])))


def total(entries: Iterable[Entry], holds: Iterable[Hold]) -> Sum:
    """All of it."""
    return summed(entries, holds, ()).get((), Sum())


def _size(one: Sum) -> int:
    return one.spent + one.held + one.unknown
