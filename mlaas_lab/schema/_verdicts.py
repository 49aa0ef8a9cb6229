"""What a paired comparison says, and all it stands on."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What a paired comparison says."""

    A_BETTER = "a_better"
    B_BETTER = "b_better"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A paired comparison of two targets on the samples both answered; `difference` is mean(b) - mean(a)."""

    a: str
    b: str
    metric: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_adjusted: float | None
    """Holm's over metric × pair."""
    verdict: Decision
    n: int
    """Pairs behind it."""
    test: str
    """`mcnemar`, `sign_flip`, `exchange` (of a number of all answers), `_groups` where whole groups are; or `none`.

    `group_sequential` where asking was to stop once it was decided: a look, which has no p; `always_valid`
    where one might look at any time."""
    more_samples: int | None = None
    """About how many more pairs would settle it; None when decided or unknown."""
    reason: str | None = None
    """Why it is undecided, in a few words; None when decided."""
    margin: float | None = None
    """The loss by the metric that somebody would just not bear; None: nobody said."""
    not_worse: bool | None = None
    """b is shown to be worse than a by less than `margin`; False: that is not shown, which is no verdict against b.

    None without a margin, or where neither way is better."""
    p_not_worse: float | None = None
    """One-sided, of b being worse by the margin; Holm's over metric × pair with a margin."""
