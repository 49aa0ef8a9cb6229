"""Which targets nobody would choose: another is no worse on any axis and surely worse on none, by intervals.

Estimates alone name a loser among equals, by chance. So a target counts as dominated only where the intervals leave no
axis on which it may be better, and one on which it is worse. It knows names and numbers, no records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mlaas_lab.schema import Decision, Verdict


class Relation(StrEnum):
    """How one target stands to another on one axis."""

    WORSE = "worse"
    """For sure: the intervals do not meet, or the paired verdict says so."""
    NOT_BETTER = "not_better"
    """For sure not better: equal, or within the margin."""
    BEHIND = "behind"
    """Not better by the estimates, and the intervals leave it open."""
    AHEAD = "ahead"
    """Better by the estimates, for sure or not."""
    UNKNOWN = "unknown"
    """One of both has no number here."""


SURE = frozenset({Relation.WORSE, Relation.NOT_BETTER})


@dataclass(frozen=True, kw_only=True)
class Measure:
    """An estimate and its 95 % interval; None is a side that nothing bounds."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One target on the three axes; None where its place is unknown."""

    target: str
    quality: Measure | None
    cost: Measure | None
    """Dollars; less is better."""
    latency: Measure | None
    """Seconds; less is better."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """The axes on which it has no number."""
        known = {"quality": self.quality, "cost": self.cost, "latency": self.latency}
        return tuple(axis for axis, measure in known.items() if measure is None)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the others make of one target."""

    candidate: Candidate
    by: str | None
    """Who is at least as good on every axis by the estimates, and better on one; None: nobody."""
    clear: bool
    """The intervals say so too: it is dominated."""
    worse: tuple[str, ...] = ()
    """Axes on which it is surely worse than `by`."""
    open: tuple[str, ...] = ()
    """Axes on which it may be no worse than `by`."""

    @property
    def dominated(self) -> bool:
        """Nobody who wants any of the three would choose it."""
        return self.by is not None and self.clear


def standings(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], *, higher_is_better: bool = True
) -> list[Standing]:
    """How each candidate stands, in their order; who lacks a number on an axis is compared with nobody.

    Args:
        candidates: all targets.
        verdicts: paired comparisons by the metric that is the quality axis; a pair without one is left open.
        higher_is_better: of that metric.
    """
    paired = {(one.a, one.b): one for one in verdicts}
    placed = [one for one in candidates if not one.lacks]
    return [_standing(one, placed, paired, higher=higher_is_better) for one in candidates]


def _standing(
    own: Candidate, placed: Sequence[Candidate], paired: Mapping[tuple[str, str], Verdict], *, higher: bool
) -> Standing:
    best = Standing(candidate=own, by=None, clear=False)
    for other in placed if not own.lacks else ():
        if other.target == own.target:
            continue
        axes = {
            "quality": _by_verdict(own, other, paired, higher=higher),
            "cost": _lower(own.cost, other.cost),
            "latency": _lower(own.latency, other.latency),
        }
        found = _against(own, other, axes)
        if found is not None and (best.by is None or _weight(found) > _weight(best)):
            best = found
    return best


def _against(own: Candidate, other: Candidate, axes: Mapping[str, Relation]) -> Standing | None:
    """None where `own` is better somewhere, or nowhere worse."""
    if not set(axes.values()) <= SURE | {Relation.BEHIND}:
        return None
    worse = tuple(axis for axis, relation in axes.items() if relation is Relation.WORSE)
    unsure = tuple(axis for axis, relation in axes.items() if relation is Relation.BEHIND)
    if not worse and not any(_differs(own, other, axis) for axis in unsure):
        return None
    return Standing(candidate=own, by=other.target, clear=bool(worse) and not unsure, worse=worse, open=unsure)


def _differs(own: Candidate, other: Candidate, axis: str) -> bool:
    mine: Measure | None = getattr(own, axis)
    theirs: Measure | None = getattr(other, axis)
    return mine is not None and theirs is not None and mine.value != theirs.value


def _weight(found: Standing) -> tuple[bool, int]:
    return found.clear, len(found.worse)


def _lower(own: Measure | None, other: Measure | None) -> Relation:
    """On an axis where less is better; intervals that do not meet decide, which errs on the careful side."""
    if own is None or other is None:
        return Relation.UNKNOWN
    if own.low is not None and other.high is not None and own.low >= other.high:
        return Relation.WORSE if own.low > other.high else Relation.NOT_BETTER
    return Relation.BEHIND if own.value >= other.value else Relation.AHEAD


def _by_verdict(
    own: Candidate, other: Candidate, paired: Mapping[tuple[str, str], Verdict], *, higher: bool
) -> Relation:
    """By the paired comparison, which sees differences that the intervals of each alone hide."""
    found, sign = paired.get((other.target, own.target)), 1.0
    if found is None:
        found, sign = paired.get((own.target, other.target)), -1.0
    if found is None or found.difference is None or own.quality is None or other.quality is None:
        return Relation.UNKNOWN
    if found.verdict is (Decision.A_BETTER if sign > 0 else Decision.B_BETTER):
        return Relation.WORSE
    if found.verdict is Decision.EQUIVALENT:
        return Relation.NOT_BETTER
    gain = (sign if higher else -sign) * found.difference
    return Relation.AHEAD if gain > 0 else Relation.BEHIND
