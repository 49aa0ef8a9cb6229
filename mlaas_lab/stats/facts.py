"""What a number of all answers is made of: kinds of facts, how often each is there, and which units say them.

It knows tables of numbers, no draws and no metric.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.influence import influence
from mlaas_lab.stats.intervals import Floats

Ints = NDArray[np.int64]


class Fact(NamedTuple):
    """What a record says of one answer."""

    score: float
    said: str
    """The reason beside the score."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A number of a table of facts."""

    facts: int
    """How many kinds there are; those it was made of come first, then those of `extremes` that nobody has seen."""
    of: Callable[[Floats], Floats]
    """From how often each is there (draws, facts) to the number (draws,); NaN where there is none."""
    extremes: Sequence[tuple[int, int]] = ()
    """For each class of samples the fact that is as right, and the one that is as wrong as can be.

    A little of each stands among what is drawn, so that a sample without spread does not read as certainty."""
    trouble: str = ""
    """Why there is no number where there is none, in a few words."""
    slope: Callable[[Floats], Floats] | None = None
    """From how often each fact is there (facts,) to what one more of each adds (facts,); None: found by trying."""

    def adds(self, table: Floats) -> Floats | None:
        """What more of each fact of `table` (facts,) adds, over its share of the weight; None where nobody can say."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = influence(self.of, table) if self.slope is None else self.slope(table) * table.sum()
        return found if found is not None and np.isfinite(found).all() else None


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one system's answers say: entries of a table (units, facts)."""

    unit: Ints
    """(entries,)"""
    fact: Ints
    """(entries,)"""
    weight: Floats
    """(entries,); those of a sample add up to 1."""

    def tally(self, times: NDArray[np.number], facts: int) -> Floats:
        """How often each fact is there (draws, facts) where each unit is there so often (draws, units)."""
        if self._in_order(times.shape[1], facts):
            return times.astype(np.float64)
        table = np.zeros((len(times), facts))
        for entries, kinds, starts in self._ordered:
            counted = times[:, self.unit[entries]]
            counted = counted if self.whole else counted * self.weight[entries]
            table[:, kinds] = counted if starts is None else np.add.reduceat(counted, starts, axis=1)
        return table

    @cached_property
    def whole(self) -> bool:
        """Each sample says one thing."""
        return bool((self.weight == 1).all())

    @cached_property
    def _ordered(self) -> list[tuple[Ints, Ints, Ints | None]]:
        """Entries in the order of their facts, those facts, and where each begins; first of facts seen once."""
        order = np.argsort(self.fact, kind="stable")
        kinds, starts, counts = np.unique(self.fact[order], return_index=True, return_counts=True)
        once = counts == 1
        several = np.repeat(~once, counts)
        begins = np.cumsum(counts[~once]) - counts[~once]
        parts = (order[starts[once]], kinds[once], None), (order[several], kinds[~once], begins)
        return [part for part in parts if len(part[0])]

    def _in_order(self, units: int, facts: int) -> bool:
        """Every unit says another fact, in the order of facts: how often units are there is the table itself."""
        if not units == facts == len(self.fact) or not self.whole:
            return False
        places = np.arange(facts)
        return np.array_equal(self.unit, places) and np.array_equal(self.fact, places)
