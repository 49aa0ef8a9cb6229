"""What each fact adds to a number of all answers, to first order: with many units, what draws estimate has a formula.

The infinitesimal jackknife (Jaeckel 1972; Efron & Tibshirani 1993, section 21.3). It knows tables of facts, as
`aggregates` does, and no draws.
"""

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.intervals import Floats
from mlaas_lab.stats.student import NORMAL

STEP = 1e-6
"""Of all weight, by which a fact's is raised to see what that does: errs by about as much as it is."""
EVEN = 400
"""(Σx²)² / Σx⁴ of what units add: how many of one size would weigh as much. Skewness then moves a 2.5 % limit by
at most 0.024 standard errors (Hall 1992, section 2.2), and 10,000 draws move it by 0.027 by chance."""
MOST_FACTS = 4_000
"""Facts whose influence is looked at; the time goes with their square."""


def influence(of: Callable[[Floats], Floats], table: Floats) -> Floats | None:
    """What more of each fact adds to the number `of` makes of `table` (facts,), over its share of the weight (facts,).

    0 for facts that are not there. None for too many facts, or where there is no number.
    """
    seen, total = np.flatnonzero(table), float(table.sum())
    if len(seen) > MOST_FACTS:
        return None
    here = float(of(table[None, :])[0])
    found = np.zeros(len(table))
    rows = max(1, 4_000_000 // len(table))
    for start in range(0, len(seen), rows):
        chosen = seen[start : start + rows]
        raised = np.repeat(table[None, :], len(chosen), axis=0)
        raised[np.arange(len(chosen)), chosen] += STEP * total
        found[chosen] = (of(raised) - here) / STEP
    return found if np.isfinite(found).all() else None


def standard_error(added: Floats, times: NDArray[np.number], samples: int, *, even: bool = True) -> float | None:
    """Of a number to which units, each there so often, add so much (units,).

    None where they should be `even`, and few carry the weight.
    """
    squares = added * added
    total, fourth = float((times * squares).sum()), float((times * squares * squares).sum())
    if fourth <= 0 or (even and total * total / fourth < EVEN):
        return None
    return math.sqrt(total) / samples


def two_sided(difference: float, error: float) -> float:
    """The normal limit of an exchange test's p (Lehmann & Romano 2005, section 15.2); never 0."""
    return max(sys.float_info.min, math.erfc(abs(difference) / error / math.sqrt(2)))


def half_width(error: float, tail: float) -> float:
    """Of a normal interval that leaves `tail` on each side."""
    return NORMAL.inv_cdf(1 - tail) * error
