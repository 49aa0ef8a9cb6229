"""One number of all answers together, as a macro F1 or the area under a ROC curve: where it lies, and differences.

No answer has such a number of its own, so nothing is averaged: samples are drawn anew, or exchanged between two
systems, and the number is made of what then stands there. It knows how often each fact was seen, not what a fact is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.draws import all_exchanges, drawn
from mlaas_lab.stats.influence import half_width, influence, standard_error, two_sided
from mlaas_lab.stats.intervals import Floats, Limits
from mlaas_lab.stats.paired import FEW_KINDS, MANY, RESAMPLES
from mlaas_lab.stats.student import NORMAL, t_quantile

Ints = NDArray[np.int64]
TRIED_UP_TO = 12
"""Units that differ, all of whose 2^n exchanges are tried."""
FEWEST_DRAWS = 1_000
BUDGET = 50_000_000
"""Entries drawn in all; where there are more of them, fewer draws are made."""


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
        order = np.argsort(self.fact, kind="stable")
        kinds, starts = np.unique(self.fact[order], return_index=True)
        table = np.zeros((len(times), facts))
        if len(order):
            entries, weight = times[:, self.unit[order]], self.weight[order]
            entries = entries * weight if (weight != 1).any() else entries
            alone = len(kinds) == len(order)
            table[:, kinds] = entries if alone else np.add.reduceat(entries, starts, axis=1)
        return table


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One system's answers, or two systems' on the same samples, in units that are independent: samples, or groups."""

    aggregate: Aggregate
    sides: tuple[Side, ...]
    times: Ints
    """How often each unit is there (units,)."""
    weighing: float
    """How many units of one size would say as much (Kish); the number of samples, where each is a unit."""
    samples: int
    groups: bool = False
    """Units are groups of samples."""
    _cache: dict[int, Floats] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n(self) -> int:
        """Units."""
        return int(self.times.sum())

    @property
    def values(self) -> list[float]:
        """The number of each side; NaN for none."""
        return [float(self._of(side.tally(self.times[None, :], self.aggregate.facts))[0]) for side in self.sides]

    def limits(self, *, seed: int = 0, confidence: float = 0.95) -> Limits:
        """Limits of the one side's number: percentiles of a bootstrap of units (Davison & Hinkley 1997, section 5.3).

        Two units as right as can be and two as wrong, evenly over the classes, stand among those drawn (the device of
        Agresti & Coull 1998); percentiles are widened for few groups (Hesterberg 2015, section 5.4). With 10,000 units
        they are those that ever more draws tend to, the normal ones.
        """
        (value,) = self.values
        return self._limits(value, seed, confidence)

    def difference_limits(self, *, seed: int = 0, confidence: float = 0.95) -> Limits:
        """Limits of the second side's number less the first's, by a bootstrap of units that both sides share.

        Half a unit stands among those drawn for each way in which two systems can be right and wrong, evenly over the
        classes (Agresti & Min 2005).
        """
        a, b = self.values
        return self._limits(b - a, seed, confidence)

    @property
    def scatter(self) -> Floats:
        """Two values whose mean is the difference and which scatter as one unit's share in it does; empty if unknown.

        The standard error that the bootstrap finds, times √units.
        """
        a, b = self.values
        error = self._error()
        if error is None:
            known = self._draws(0)
            known = known[np.isfinite(known)]
            error = float(known.std()) if len(known) > 1 else None
        if error is None or not math.isfinite(b - a):
            return np.zeros(0)
        deviation = error * math.sqrt(self.n)
        return np.array([b - a - deviation, b - a + deviation])

    def exchange(self, *, seed: int = 0) -> float | None:
        """Two-sided p that nothing tells two systems apart: each unit's answers could as well have been swapped.

        Exact under that hypothesis, whatever the number is (Fisher's randomization; Pitman 1937): all exchanges where
        at most 12 units differ, else random ones with the observed one counted in (Phipson & Smyth 2010), or with
        10,000 units the normal limit. None where no unit differs, or there is no number.
        """
        a, b = self.values
        differing = _differing(self.sides, len(self.times))
        if not differing.any() or not math.isfinite(b - a):
            return None
        if (error := self._error(pooled=True)) is not None:
            return two_sided(b - a, error)
        reached = abs(b - a) - 1e-12
        if self.times[differing].sum() <= TRIED_UP_TO:
            gaps = self._exchanged(all_exchanges(self.times, differing))
            return float((gaps >= reached).mean())
        generator = np.random.default_rng(seed)
        times = np.where(differing, self.times, 0)
        parts = [self._exchanged(generator.binomial(times, 0.5, size=(rows, len(times)))) for rows in self._chunks()]
        gaps = np.concatenate(parts)
        return (int((gaps >= reached).sum()) + 1) / (len(gaps) + 1)

    def _exchanged(self, swapped: NDArray[np.number]) -> Floats:
        """How far the sides are apart (draws,) where so many of each unit (draws, units) are swapped."""
        (a, b), facts = self.sides, self.aggregate.facts
        stay = self.times - swapped
        first = self._of(a.tally(stay, facts) + b.tally(swapped, facts))
        second = self._of(a.tally(swapped, facts) + b.tally(stay, facts))
        return np.abs(second - first)

    def _limits(self, value: float, seed: int, confidence: float) -> Limits:
        if self.n < 2 or self.weighing < 2 - 1e-9 or not math.isfinite(value):
            return None, None
        tail = 0.5 - confidence / 2
        if self.groups:
            weighing = self.weighing
            tail = NORMAL.cdf(t_quantile(tail, weighing - 1) * math.sqrt(weighing / (weighing - 1)))
        if (error := self._error()) is not None:
            return value - half_width(error, tail), value + half_width(error, tail)
        draws = self._draws(seed)
        known = draws[np.isfinite(draws)]
        if len(known) < len(draws) / 2:
            return None, None
        low, high = np.quantile(known, [tail, 1 - tail])
        return min(float(low), value), max(float(high), value)

    def _error(self, *, pooled: bool = False) -> float | None:
        """The standard error to first order; None where units are too few, or what they add is not to be had.

        Of a difference as it is seen, or `pooled`, if nothing tells the sides apart.
        """
        if self.n < MANY:
            return None
        tables = [side.tally(self.times[None, :], self.aggregate.facts)[0] for side in self.sides]
        if pooled:
            tables = [sum(tables, np.zeros(self.aggregate.facts))] * len(tables)
        added = np.zeros(len(self.times))
        for at, (side, table) in enumerate(zip(self.sides, tables, strict=True)):
            adds = influence(self._of, table)
            if adds is None:
                return None
            signed = side.weight * adds[side.fact] * (1 if at == len(tables) - 1 else -1)
            added += np.bincount(side.unit, weights=signed, minlength=len(added))
        return standard_error(added, self.times, self.samples)

    def _draws(self, seed: int) -> Floats:
        """The number, or the difference, under each draw (draws,)."""
        if seed not in self._cache:
            pool, chances = self._pool()
            generator, facts = np.random.default_rng(seed), self.aggregate.facts
            parts = []
            for rows in self._chunks():
                times = drawn(chances, self.n, rows, generator)
                numbers = [self._of(side.tally(times, facts)) for side in pool]
                parts.append(numbers[0] if len(numbers) == 1 else numbers[1] - numbers[0])
            self._cache[seed] = np.concatenate(parts)
        return self._cache[seed]

    def _pool(self) -> tuple[tuple[Side, ...], Ints]:
        """The units with those added that nobody has seen, and how often each is among what is drawn from (units,)."""
        classes, two = len(self.aggregate.extremes), len(self.sides) == 2
        ways = [(i, j) for i in (0, 1) for j in (0, 1)] if two else [(0,), (1,)]
        unseen = [tuple(pair[way] for way in one) for pair in self.aggregate.extremes for one in ways]
        places = np.arange(len(self.times), len(self.times) + len(unseen))
        size = self.samples / self.n
        sides = tuple(
            Side(
                unit=np.concatenate([side.unit, places]),
                fact=np.concatenate([side.fact, np.array([said[at] for said in unseen], dtype=np.int64)]),
                weight=np.concatenate([side.weight, np.full(len(unseen), size)]),
            )
            for at, side in enumerate(self.sides)
        )
        # Two systems: half a unit for each of the four ways, over the classes; one: two of each, over the classes.
        times, each = (2 * classes, 1) if two else (classes, 2)
        return sides, np.concatenate([self.times * max(times, 1), np.full(len(unseen), each)])

    def _chunks(self) -> Iterator[int]:
        """All draws, in portions whose tables stay near 30 MB."""
        entries = max(len(self.times), self.aggregate.facts, *(len(side.unit) for side in self.sides))
        several = entries if len(self.times) * FEW_KINDS <= self.n else entries + self.n
        draws = int(min(RESAMPLES, max(FEWEST_DRAWS, BUDGET // several)))
        rows = max(1, 4_000_000 // several)
        return (min(rows, draws - start) for start in range(0, draws, rows))

    def _of(self, table: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.aggregate.of(table)


def measured(aggregate: Aggregate, sides: Sequence[Side], groups: Ints | None, samples: int) -> Measured:
    """What `sides` say of so many `samples`, counted in independent units.

    Args:
        aggregate: the number.
        sides: one, or two that share the numbers of their units: samples from 0.
        groups: the group of each sample (samples,), where groups are what scatters.
        samples: how many there are.
    """
    if groups is not None:
        sizes = np.bincount(groups)
        return Measured(
            aggregate=aggregate,
            sides=tuple(replace(side, unit=groups[side.unit]) for side in sides),
            times=np.ones(len(sizes), dtype=np.int64),
            weighing=float(sizes.sum() ** 2 / (sizes**2).sum()) if samples else 0.0,
            samples=samples,
            groups=True,
        )
    times = np.ones(samples, dtype=np.int64)
    if all(len(side.unit) == samples for side in sides):
        # One answer each: samples of which all sides say the same are one unit that is there several times.
        said = np.stack([side.fact[np.argsort(side.unit, kind="stable")] for side in sides])  # (sides, samples)
        codes = np.ravel_multi_index(tuple(said), (aggregate.facts,) * len(sides))
        kinds, times = np.unique(codes, return_counts=True)
        places, alike = np.arange(len(kinds)), np.ones(len(kinds))
        facts = np.unravel_index(kinds, (aggregate.facts,) * len(sides))
        sides = [Side(unit=places, fact=np.asarray(fact), weight=alike) for fact in facts]
    return Measured(aggregate=aggregate, sides=tuple(sides), times=times, weighing=float(samples), samples=samples)


def _differing(sides: Sequence[Side], units: int) -> NDArray[np.bool_]:
    """Of which units the two sides say something different (units,)."""
    tables = []
    for side in sides:
        order = np.lexsort((side.fact, side.unit))
        tables.append(list(zip(side.unit[order], side.fact[order], np.round(side.weight[order], 9), strict=True)))
    alone = set(tables[0]) ^ set(tables[1])
    found = np.zeros(units, dtype=bool)
    found[[unit for unit, _, _ in alone]] = True
    return found
