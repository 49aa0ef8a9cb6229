"""May one stop paying? Five looks at a comparison that grows, with 5 % false alarms over all of them together.

Group-sequential with O'Brien–Fleming-type boundaries: early looks ask for much, the last for hardly more than a fixed
test does. It knows differences and how many there will be, not who measures them.
"""

from dataclasses import dataclass

from mlaas_lab.stats.boundaries import boundaries, spent
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.stats.standardized import limits_at, standardized

LOOKS = 5
"""More save little: ten bring the expected sample down by 3 % of the fixed one's (tests/stats/test_sequential.py)."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look says."""

    decided: bool
    """There is a difference, and measuring may stop."""
    number: int
    """Of this look, from 1."""
    time: float
    """Share of the planned samples that is there."""
    z: float
    """How far the differences stand out."""
    boundary: float
    """What |z| must reach."""
    spent: float
    """Of the false alarms allowed in all (two-sided), those used up so far."""
    difference: float | None
    """Mean so far. Of a test that stopped it is too large on average: extremes are what stops one."""
    ci_low: float | None
    """Of the repeated confidence interval, which holds whenever one stops (Jennison & Turnbull 1989)."""
    ci_high: float | None


def looks(total: int) -> list[int]:
    """After how many of `total` samples to look: five times, evenly; fewer where there are not five samples."""
    return sorted({-(-total * look // LOOKS) for look in range(1, LOOKS + 1)} - {0})


def allowed(n_looks_done: int, n: int, total: int, differences: Floats, *, alpha: float = 0.05) -> Look:
    """The next look at a comparison; earlier ones are taken to have been made when `looks` said.

    Args:
        n_looks_done: looks made before this one.
        n: samples asked so far.
        total: samples there will be if nothing is decided before.
        differences: b - a of the samples among the `n` that both have a score for (pairs,).
        alpha: two-sided false alarms over all looks; of m comparisons made together, each gets its m-th part.

    Raises:
        ValueError: for a sixth look, or one that brings no sample more than the last.
    """
    due = looks(total)
    if not 0 <= n_looks_done < LOOKS:
        raise ValueError(f"there are {LOOKS} looks, and {n_looks_done!r} are done")
    earlier = due[:n_looks_done]
    if not (0 < n <= total and (not earlier or n > earlier[-1])):
        raise ValueError(
            f"look {n_looks_done + 1} needs more than {max(earlier, default=0)} of {total} samples, not {n}"
        )
    times = tuple(at / total for at in (*earlier, n))
    boundary = boundaries(times, alpha)[-1]
    z = standardized(differences)
    low, high = limits_at(differences, boundary)
    return Look(
        decided=abs(z) >= boundary,
        number=n_looks_done + 1,
        time=n / total,
        z=z,
        boundary=boundary,
        spent=spent(n / total, alpha),
        difference=float(differences.mean()) if len(differences) else None,
        ci_low=low,
        ci_high=high,
    )
