"""What is lost by taking b for a: is it less than somebody would bear? Two one-sided tests of each comparison.

"Not worse" is one of them, "equivalent" is both. Each is a family of its own for Holm, beside that of "better". It
knows scores and margins by metric, no records and no verdicts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlaas_lab.stats.aggregates import Measured
from mlaas_lab.stats.clusters import FEWEST_GROUPS, Groups
from mlaas_lab.stats.intervals import Floats, is_share
from mlaas_lab.stats.noninferiority import not_worse, not_worse_in_groups
from mlaas_lab.stats.paired import holm
from mlaas_lab.stats.student import t_cdf

Margins = float | Mapping[str, float] | None
"""One for all metrics, or by a metric's name, with or without its options; None: none."""
ALPHA = 0.025
"""One-sided: half of the usual 5 % (ICH E9, section 5.5), so that it agrees with a 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Tails:
    """One comparison against its margin: one-sided p-values; None where there is too little to test."""

    lower: float | None
    """Of b lying below a by the margin or more."""
    higher: float | None
    """Of b lying above a by the margin or more."""

    @property
    def both(self) -> float | None:
        """Of either (Schuirmann 1987: two one-sided tests)."""
        return None if self.lower is None or self.higher is None else max(self.lower, self.higher)

    def worse(self, higher_is_better: bool | None) -> float | None:
        """Of b being worse by the margin or more; None where neither way is better."""
        return None if higher_is_better is None else self.lower if higher_is_better else self.higher


NOTHING = Tails(lower=None, higher=None)


def margin_of(margins: Margins, metric: str) -> float | None:
    """The margin of one metric."""
    if not isinstance(margins, Mapping):
        return margins
    return margins.get(metric, margins.get(metric.partition("?")[0]))


def tails(scores: tuple[Floats, Floats], margin: float, groups: Groups | None, *, share: bool | None = None) -> Tails:
    """Of the scores of a and b on the same samples (n,), which may come in `groups` (n,).

    Args:
        scores: of a, and of b.
        margin: above 0.
        groups: None where each sample stands for itself.
        share: scores lie between 0 and 1, whatever these look like; None: as they look.
    """
    a, b = scores
    if groups is None:
        return Tails(lower=not_worse(a, b, margin=margin).p_value, higher=not_worse(b, a, margin=margin).p_value)
    shares = share is not False and is_share(a) and is_share(b)
    lower, higher = (
        not_worse_in_groups(gains, groups, margin=margin, share=shares).p_value for gains in (b - a, a - b)
    )
    return Tails(lower=lower, higher=higher)


def tails_of(together: Measured, margin: float) -> Tails:
    """Of a number that is made of all answers: Student's t with the bootstrap's standard error.

    Davison & Hinkley 1997, section 5.2.1; one degree of freedom fewer than there are units that weigh alike.
    """
    scatter = together.scatter
    if not len(scatter) or together.weighing < FEWEST_GROUPS - 1e-9 or np.ptp(scatter) == 0:
        return NOTHING
    error, difference = float(np.ptp(scatter)) / 2 / math.sqrt(together.n), float(scatter.mean())
    lower, higher = (t_cdf(-(gain + margin) / error, together.weighing - 1) for gain in (difference, -difference))
    return Tails(lower=lower, higher=higher)


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's, in the same order; what could not be tested counts not against the rest."""
    found = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(found) for p in p_values]
