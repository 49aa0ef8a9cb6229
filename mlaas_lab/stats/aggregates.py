"""One number of all answers together, as a macro F1 or the area under a ROC curve: where it lies, and differences.

No answer has such a number of its own, so nothing is averaged: samples are drawn anew, or exchanged between two
systems, and the number is made of what then stands there. It knows how often each fact was seen, not what a fact is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.draws import all_exchanges, drawn, swaps
from mlaas_lab.stats.facts import Aggregate, Ints, Side
from mlaas_lab.stats.influence import half_width, standard_error, two_sided
from mlaas_lab.stats.intervals import Floats, Limits
from mlaas_lab.stats.paired import FEW_KINDS, RESAMPLES
from mlaas_lab.stats.student import NORMAL, t_quantile

TRIED_UP_TO = 12
"""Units that differ, all of whose 2^n exchanges are tried."""
FEWEST_DRAWS = 1_000
BUDGET = 50_000_000
BLOCK = 200_000
"""Entries drawn at once: what fits beside the processor is counted twice as fast."""
ENOUGH = 1_000
"""Units from which on what draws estimate is computed as their normal limit, if `influence.EVEN` of them carry the
weight: it errs less than 10,000 draws do by chance."""


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
    budget: int = BUDGET
    """Entries drawn in all; where there are more of them, fewer draws are made."""
    _cache: dict[int, Floats] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n(self) -> int:
        """Units."""
        return int(self.times.sum())

    @property
    def values(self) -> list[float]:
        """The number of each side; NaN for none."""
        return [float(self._of(side.tally(self.times[None, :], self.aggregate.facts))[0]) for side in self.sides]

    def limits(self, *, seed: int = 0, confidence: float = 0.95, even: bool = True) -> Limits:
        """Limits of the one side's number: percentiles of a bootstrap of units (Davison & Hinkley 1997, section 5.3).

        Two units as right as can be and two as wrong, evenly over the classes, stand among those drawn (the device of
        Agresti & Coull 1998); percentiles are widened for few groups (Hesterberg 2015, section 5.4). With 1,000 units
        they are those that ever more draws tend to, the normal ones; but where `even`, only if enough carry the weight.
        """
        (value,) = self.values
        return self._limits(value, seed, confidence, even=even)

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
        _, error = self._normal() or (None, None)
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
        1,000 units the normal limit. None where no unit differs, or there is no number.
        """
        a, b = self.values
        differing = _differing(self.sides, len(self.times))
        if not differing.any() or not math.isfinite(b - a):
            return None
        if (normal := self._normal(pooled=True)) is not None:
            return two_sided(b - a, normal[1])
        reached = abs(b - a) - 1e-12
        if self.times[differing].sum() <= TRIED_UP_TO:
            gaps = self._exchanged(all_exchanges(self.times, differing))
            return float((gaps >= reached).mean())
        generator = np.random.default_rng(seed)
        times = np.where(differing, self.times, 0)
        parts = [self._exchanged(swaps(times, rows, generator)) for rows in self._chunks()]
        gaps = np.concatenate(parts)
        return (int((gaps >= reached).sum()) + 1) / (len(gaps) + 1)

    def _exchanged(self, swapped: NDArray[np.number]) -> Floats:
        """How far the sides are apart (draws,) where so many of each unit (draws, units) are swapped."""
        (a, b), facts = self.sides, self.aggregate.facts
        stay = self.times - swapped
        one = a.tally(stay, facts) + b.tally(swapped, facts)
        if a.whole and b.whole:
            # Whole numbers: what is left of both is exact, and nothing that is not there gets a little weight.
            other = a.tally(self.times[None, :], facts) + b.tally(self.times[None, :], facts) - one
        else:
            other = a.tally(swapped, facts) + b.tally(stay, facts)
        return np.abs(self._of(other) - self._of(one))

    def _limits(self, value: float, seed: int, confidence: float, *, even: bool = True) -> Limits:
        if self.n < 2 or self.weighing < 2 - 1e-9 or not math.isfinite(value):
            return None, None
        tail = 0.5 - confidence / 2
        if self.groups:
            weighing = self.weighing
            tail = NORMAL.cdf(t_quantile(tail, weighing - 1) * math.sqrt(weighing / (weighing - 1)))
        if (normal := self._normal(even=even)) is not None:
            middle, half = normal[0], half_width(normal[1], tail)
            return min(middle - half, value), max(middle + half, value)
        draws = self._draws(seed)
        known = draws[np.isfinite(draws)]
        if len(known) < len(draws) / 2:
            return None, None
        low, high = np.quantile(known, [tail, 1 - tail])
        return min(float(low), value), max(float(high), value)

    def _normal(self, *, pooled: bool = False, even: bool = True) -> tuple[float, float] | None:
        """Where draws lie, and their standard error to first order; None where units are too few, or not `even`.

        Of what `_draws` finds; or, `pooled`, of what `_exchanged` finds, if nothing tells the sides apart.
        """
        if self.n < ENOUGH:
            return None
        sides, times = (self.sides, self.times) if pooled else self._pool()
        times = times * (self.n / times.sum())
        tables = [side.tally(times[None, :], self.aggregate.facts)[0] for side in sides]
        if pooled:
            tables = [sum(tables, np.zeros(self.aggregate.facts))] * len(tables)
        added = np.zeros(len(times))
        for side, table, sign in zip(sides, tables, (-1, 1)[-len(sides) :], strict=True):
            adds = self.aggregate.adds(table)
            if adds is None:
                return None
            added += sign * np.bincount(side.unit, weights=side.weight * adds[side.fact], minlength=len(added))
        error = standard_error(added, times, self.samples, even=even)
        numbers = [float(self._of(table[None, :])[0]) for table in tables]
        return None if error is None else (numbers[-1] - sum(numbers[:-1]), error)

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
        """All draws, in portions."""
        entries = max(len(self.times), self.aggregate.facts, *(len(side.unit) for side in self.sides))
        several = entries if len(self.times) * FEW_KINDS <= self.n else entries + self.n
        draws = int(min(RESAMPLES, max(FEWEST_DRAWS, self.budget // several)))
        rows = max(1, BLOCK // several)
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
