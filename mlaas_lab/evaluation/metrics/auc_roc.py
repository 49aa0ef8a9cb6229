"""Area under the ROC curve: how often a sample of the positive class is given a higher score than one of the negative.

Mann & Whitney's U over all pairs of samples, ties as one half (Hanley & McNeil 1982). The answer's first line states
the score, a number from 0 to `highest` or a percentage; a class alone states all or nothing. The reference is yes or
no, true or false, 1 or 0, positive or negative; with `positive=spam` it is spam or anything else. A record holds how
much was given to the class that is right, and which that is.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlaas_lab.evaluation.labels import LONGEST_SHOWN, label
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score, ScoreStatus

if TYPE_CHECKING:
    from mlaas_lab.stats.facts import Aggregate, Fact
    from mlaas_lab.stats.intervals import Floats

_NUMBER = re.compile(r"(?<![\w.,-])(\d{1,4}(?:\.\d{1,12})?|\.\d{1,12})\s{0,2}(%?)(?![\w%]|\s?[.,/–-]\s?\d)")
_POSITIVE = frozenset({"yes", "true", "1", "positive"})
_NEGATIVE = frozenset({"no", "false", "0", "negative"})
IS_POSITIVE, IS_NEGATIVE = "the reference is positive", "the reference is negative"
LONGEST_LINE = 2_000
"""Characters of an answer's first line in which a number is looked for."""
DIGITS = 12
"""Of a stated score that are kept: what is equal as written stays equal when it is taken from 1."""


def _positive(reference: str, positive: str) -> bool | None:
    """Whether the reference is of the positive class; None where nobody knows."""
    name = label(reference)
    if positive:
        return name == positive
    return True if name in _POSITIVE else False if name in _NEGATIVE else None


def _stated(output: str, positive: str, highest: float) -> float | str:
    """The score that an answer states, from 0 to 1; what is wrong with it where it states none."""
    name = label(output)
    if name == positive if positive else name in _POSITIVE and (name != "1" or highest == 1):
        return 1.0
    if not positive and name in _NEGATIVE:
        return 0.0
    lines = output.strip().splitlines() or [""]
    found = _NUMBER.findall(lines[0][:LONGEST_LINE])
    if not found:
        return "the answer states no score"
    if len(set(found)) > 1:
        return f"the answer states several scores: {', '.join(''.join(one) for one in found[:3])}"
    digits, percent = found[0]
    value = float(digits) / (100 if percent else highest)
    if value > 1:
        return f"the answer states {digits}{percent}, expected 0 to {'100 %' if percent else f'{highest:g}'}"
    return value


def _score(output: str, sample: Sample, positive: str = "", highest: float = 1.0) -> Score:
    is_positive = _positive(sample.reference or "", positive)
    if is_positive is None:
        wrong = f"the reference {label(sample.reference or '')[:LONGEST_SHOWN]!r} is neither yes nor no"
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=wrong)
    stated = _stated(output, positive, highest)
    if isinstance(stated, str):
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=stated)
    given = round(stated if is_positive else 1 - stated, DIGITS)
    return Score(value=given, reason=IS_POSITIVE if is_positive else IS_NEGATIVE)


def _aggregate(facts: "Sequence[Fact]") -> "Aggregate":
    """Of facts that say which class is right and what was given to it."""
    import numpy as np

    from mlaas_lab.stats.facts import Aggregate

    positive = np.array([fact.said == IS_POSITIVE for fact in facts] + [True, True, False, False])
    given = np.array([fact.score for fact in facts])
    stated = np.round(np.where(positive[:-4], given, 1 - given), DIGITS)
    # A positive above and below everything, a negative below and above.
    stated = np.concatenate([stated, [np.inf, -np.inf, -np.inf, np.inf]])
    ours, theirs = np.flatnonzero(positive), np.flatnonzero(~positive)
    theirs = theirs[np.argsort(stated[theirs], kind="stable")]
    # How many negatives lie below each positive, and how many do not lie above it: places in their running sum.
    below = np.searchsorted(stated[theirs], stated[ours], side="left")
    reached = np.searchsorted(stated[theirs], stated[ours], side="right")
    tied = np.flatnonzero(reached > below)
    rising = ours[np.argsort(stated[ours], kind="stable")]
    above = [np.searchsorted(stated[rising], stated[theirs], side=side) for side in ("left", "right")]

    def of(table: "Floats") -> "Floats":
        first = table[:, ours]
        sums = np.zeros((len(table), len(theirs) + 1))
        np.cumsum(table[:, theirs], axis=1, out=sums[:, 1:])
        won = np.einsum("ij,ij->i", first, sums[:, below])
        ties = sums[:, reached[tied]] - sums[:, below[tied]]  # count as one half
        won += np.einsum("ij,ij->i", first[:, tied], ties) / 2
        return np.asarray(won / (first.sum(axis=1) * sums[:, -1]))

    def slope(table: "Floats") -> "Floats":
        lower = np.concatenate([[0.0], np.cumsum(table[theirs])])
        higher = np.concatenate([[0.0], np.cumsum(table[rising])])
        n_theirs, n_ours = lower[-1], higher[-1]
        # Of each, the share of the other class that lies on its right side (DeLong, DeLong & Clarke-Pearson 1988).
        won = (lower[below] + lower[reached]) / 2 / n_theirs
        lost = 1 - (higher[above[0]] + higher[above[1]]) / 2 / n_ours
        area = float(table[ours] @ won) / n_ours
        found = np.zeros(len(table))
        found[ours], found[theirs] = (won - area) / n_ours, (lost - area) / n_theirs
        return found

    n = len(facts)
    return Aggregate(
        facts=n + 4,
        of=of,
        extremes=[(n, n + 1), (n + 2, n + 3)],
        trouble="the samples with a score are all of one class",
        slope=slope,
    )


def _check(samples: Sequence[Sample], positive: str) -> str:
    known = [_positive(sample.reference or "", positive) for sample in samples]
    if None in known:
        wrong = label(samples[known.index(None)].reference or "")[:LONGEST_SHOWN]
        return f"{known.count(None)} references are neither yes nor no, as {wrong!r}; write auc_roc?positive=LABEL"
    if len(set(known)) == 1:
        kind = "positive" if known[0] else "negative"
        return f"all {len(samples)} references are {kind}, and it compares two classes"
    return ""


def _options(*, positive: str = "", highest: float = 1.0) -> Metric:
    if not 0 < highest < float("inf"):
        raise ValueError(f"highest is {highest}, expected more than 0")
    name = label(positive) if positive else ""
    return Metric(
        unit="share",
        higher_is_better=True,
        needs=frozenset({"reference"}),
        score=lambda output, sample: _score(output, sample, name, highest),
        aggregate=_aggregate,
        check=lambda samples: _check(samples, name),
        options=_options,
    )


metric = _options()
