"""What a review says so far: who is preferred and how surely, how far reviewers agree, with each other and a metric.

The unit is the sample: one that three people saw counts once, by the most of them. Ties and samples where both are bad
are counted, and stand outside the test, as in any sign test.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from mlaas_lab.reviewing.ordering import Pairs
from mlaas_lab.reviewing.review import Preference, Review, Said
from mlaas_lab.schema import JSON
from mlaas_lab.stats.agreement import Agreement, kappa
from mlaas_lab.stats.intervals import wilson
from mlaas_lab.stats.paired import mcnemar
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, number, p_value, percent

ALPHA = 0.05
ORDER = (Preference.A, Preference.B, Preference.TIE, Preference.BOTH_BAD, Preference.SKIP)


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """What one reviewer said, as counts."""

    name: str
    counts: tuple[int, ...]
    """As in ORDER."""
    n_blind: int


@dataclass(frozen=True, kw_only=True)
class Raters:
    """Two who judged the same samples."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A review, counted."""

    a: str
    b: str
    n: int
    """Samples that can be reviewed."""
    counts: tuple[int, ...]
    """Samples by what most of their reviewers said, as in ORDER."""
    share_b: float | None
    """Of the samples where one was preferred, those where b was."""
    ci_low: float | None
    """Wilson's, 95 %."""
    ci_high: float | None
    p_value: float | None
    """Exact sign test, two-sided; None where nobody preferred anything."""
    n_left: int
    """Verdicts for the answer on the left, of `n_sided`."""
    n_sided: int
    n_changed: int
    """Verdicts on answers that are others now; they do not count."""
    reviewers: tuple[Reviewer, ...]
    raters: tuple[Raters, ...]
    """Every two reviewers, and each with the metric."""

    @property
    def summary(self) -> str:
        """One sentence that can be quoted."""
        n_a, n_b, n_tie, n_bad, _ = self.counts
        ties = "1 tie" if n_tie == 1 else f"{count(n_tie)} ties"
        aside = f"{ties}, {count(n_bad)} both bad, {count(self.n)} samples in all"
        if not n_a + n_b:
            return f"Nobody preferred {self.a} or {self.b} yet ({aside})."
        more, less, wins = (self.b, self.a, n_b) if n_b >= n_a else (self.a, self.b, n_a)
        low, high = self.ci_low or 0.0, self.ci_high or 0.0
        low, high = (low, high) if more == self.b else (1 - high, 1 - low)
        shown = f"95 % interval {percent(low)} to {percent(high)}, exact sign test p {p_value(self.p_value)}"
        of = f"{count(wins)} of {count(n_a + n_b)} samples where one was ({percent(wins / (n_a + n_b))}; {shown})"
        if (self.p_value or 0) >= ALPHA:
            return f"Reviewers do not decide between {less} and {more}: {more} was preferred on {of}; {aside}."
        return f"Reviewers prefer {more} to {less}: on {of}; {aside}."

    @property
    def notes(self) -> list[str]:
        """What one should know before one believes it."""
        found = []
        total, blind = sum(sum(one.counts) for one in self.reviewers), sum(one.n_blind for one in self.reviewers)
        if total:
            found.append(f"{count(blind)} of {count(total)} verdicts were given blind.")
        if self.n_sided:
            found.append(f"The answer on the left was preferred in {count(self.n_left)} of {count(self.n_sided)}.")
        if self.n_changed:
            found.append(f"{count(self.n_changed)} verdicts do not count: they are on answers that are others now.")
        return found

    def as_json(self) -> JSON:
        """All of it as plain values."""
        named = dict(zip(map(str, ORDER), self.counts, strict=True))
        people = [
            {"name": one.name, **dict(zip(map(str, ORDER), one.counts, strict=True)), "blind": one.n_blind}
            for one in self.reviewers
        ]
        raters = [{"first": one.first, "second": one.second, **asdict(one.agreement)} for one in self.raters]
        return {
            **{key: getattr(self, key) for key in ("a", "b", "n", "share_b", "ci_low", "ci_high", "p_value")},
            "counts": named,
            "n_left": self.n_left,
            "n_sided": self.n_sided,
            "n_changed": self.n_changed,
            "reviewers": people,
            "agreement": raters,
        }

    def view(self) -> View:
        """The sentence, who said what, and how far they agree."""
        titles = [self.a, self.b, "Tie", "Both bad", "Skipped"]
        columns: list[Column | str] = ["Reviewer"]
        columns += [Column(title=title, align="right", format=count) for title in [*titles, "Blind"]]
        rows = [(one.name, *one.counts, one.n_blind) for one in self.reviewers]
        people = Table(columns=columns, rows=rows, caption="Verdicts by reviewer")
        children = [View(title="Agreement", table=self._agreement())] if self.raters else []
        shown = people if rows else None
        return View(title="Preferences", summary=self.summary, table=shown, notes=self.notes, children=children)

    def _agreement(self) -> Table:
        numbers = [Column(title=t, align="right", format=_short) for t in ("Kappa", "From", "To")]
        shares = Column(title="Agree", align="right", format=percent)
        columns: list[Column | str] = ["One", "Other", *numbers, shares, Column(title="n", align="right", format=count)]
        rows = [
            (one.first, one.second, found.kappa, found.ci_low, found.ci_high, found.observed, found.n)
            for one in self.raters
            for found in (one.agreement,)
        ]
        return Table(columns=columns, rows=rows, caption="Cohen's kappa with its 95 % interval")


def _short(value: float | None) -> str:
    """Three digits are enough; what rounding left of a nought is none."""
    return number(None if value is None else round(value, 3) + 0.0)


def tally(review: Review, pairs: Pairs) -> Tally:
    """What all reviewers of a review have said, counted."""
    known = {pair.sample: pair for pair in pairs.order}
    every = [one for one in review.said.values() if one.sample in known]
    said = [one for one in every if one.answers == pairs.digest(known[one.sample])]
    by_sample = {name: _most(several) for name, several in _grouped(said, "sample").items()}
    counts = _counts(by_sample.values())
    n_a, n_b = counts[:2]
    low, high = wilson(n_b, n_a + n_b) if n_a + n_b else (None, None)
    sided = [one for one in said if one.prefers in (Preference.A, Preference.B)]
    return Tally(
        a=pairs.a,
        b=pairs.b,
        n=len(pairs.order),
        counts=counts,
        share_b=n_b / (n_a + n_b) if n_a + n_b else None,
        ci_low=low,
        ci_high=high,
        p_value=mcnemar(n_a, n_b) if n_a + n_b else None,
        n_left=sum(str(one.prefers) == one.left for one in sided),
        n_sided=len(sided),
        n_changed=len(review.said) - len(said),
        reviewers=tuple(_reviewer(name, several) for name, several in sorted(_grouped(said, "by").items())),
        raters=tuple(_raters(said, pairs)),
    )


def _grouped(said: Iterable[Said], by: str) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(getattr(one, by), []).append(one)
    return found


def _most(several: Sequence[Said]) -> Preference:
    """What most say of a sample; where as many prefer one as the other, it is a tie. Who skipped it has no say."""
    counts = dict(zip(ORDER, _counts(one.prefers for one in several), strict=True))
    best = max(counts[one] for one in ORDER[:-1])
    if not best:
        return Preference.SKIP
    first = [one for one in ORDER[:-1] if counts[one] == best]
    return first[0] if len(first) == 1 else Preference.TIE


def _counts(preferences: Iterable[Preference]) -> tuple[int, ...]:
    found = list(preferences)
    return tuple(found.count(one) for one in ORDER)


def _reviewer(name: str, said: Sequence[Said]) -> Reviewer:
    return Reviewer(name=name, counts=_counts(one.prefers for one in said), n_blind=sum(one.blind for one in said))


def _raters(said: Sequence[Said], pairs: Pairs) -> Iterable[Raters]:
    """Every two reviewers on the samples both judged; each with the metric, to which two bad answers are a tie."""
    ratings = {
        name: {one.sample: str(one.prefers) for one in several if one.prefers is not Preference.SKIP}
        for name, several in sorted(_grouped(said, "by").items())
    }
    for (first, mine), (second, theirs) in combinations(ratings.items(), 2):
        yield from _held(first, mine, second, theirs)
    if pairs.metric is not None:
        scored = {pair.sample: str(found) for pair in pairs.order if (found := pairs.scored(pair)) is not None}
        for name, mine in ratings.items():
            plain = {sample: "tie" if one == "both_bad" else one for sample, one in mine.items()}
            yield from _held(name, plain, pairs.metric, scored)


def _held(first: str, mine: dict[str, str], second: str, theirs: dict[str, str]) -> Iterable[Raters]:
    both = [sample for sample in mine if sample in theirs]
    if both:
        found = kappa(np.array([mine[s] for s in both]), np.array([theirs[s] for s in both]))
        yield Raters(first=first, second=second, agreement=found)
