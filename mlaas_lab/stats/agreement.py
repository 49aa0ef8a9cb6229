"""How far two raters agree beyond chance: a judge with itself, with another judge, with people.

Cohen's kappa (1960), weighted (1968) where ratings have an order. It knows two columns of ratings, not who rated.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.intervals import Floats, wilson
from mlaas_lab.stats.student import NORMAL

Weights = Literal["none", "linear", "quadratic"]
"""How much a near miss counts: nothing, by its distance, by the square of its distance."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two raters of the same things."""

    kappa: float | None
    """1: always agree; 0: as chance would; None where only one rating occurs, so that chance agrees too."""
    ci_low: float | None
    ci_high: float | None
    observed: float | None
    """Share that agrees, near misses counted by their weight."""
    by_chance: float | None
    """The share that would agree if each rated at random with the same frequencies."""
    n: int
    """Things rated by both."""


def kappa(
    first: NDArray[Any], second: NDArray[Any], *, weights: Weights = "none", confidence: float = 0.95
) -> Agreement:
    """Agreement of two columns of ratings (n,), which sort in their order if near misses shall count.

    The interval stands on the standard error of Fleiss, Cohen & Everitt (1969). Raters who never differ say nothing of
    the spread: then the lower limit is Wilson's of the share that agrees.

    Raises:
        ValueError: if one column is longer.
    """
    if len(first) != len(second):
        raise ValueError(f"both rate the same things, not {len(first)} and {len(second)}")
    n = len(first)
    if not n:
        return Agreement(kappa=None, ci_low=None, ci_high=None, observed=None, by_chance=None, n=0)
    table = _table(first, second)
    weight = _weights(len(table), weights)
    observed = float((weight * table).sum())
    chance = float((weight * np.outer(table.sum(axis=1), table.sum(axis=0))).sum())
    if 1 - chance < 1e-12:
        return Agreement(kappa=None, ci_low=None, ci_high=None, observed=observed, by_chance=chance, n=n)
    value = (observed - chance) / (1 - chance)
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    error = _standard_error(table, weight, value, chance) / math.sqrt(n)
    low, high = max(-1.0, value - z * error), min(1.0, value + z * error)
    if 1 - observed < 1e-12:
        low, high = max(-1.0, (wilson(n, n, confidence=confidence)[0] - chance) / (1 - chance)), 1.0
    return Agreement(kappa=value, ci_low=low, ci_high=high, observed=observed, by_chance=chance, n=n)


def _table(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Shares of all pairs of ratings (kinds, kinds)."""
    kinds, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    table = np.zeros((len(kinds), len(kinds)))
    np.add.at(table, (places[: len(first)], places[len(first) :]), 1)
    return table / len(first)


def _weights(kinds: int, weights: Weights) -> Floats:
    """How much each pair of ratings agrees (kinds, kinds): 1 on the diagonal, 0 for the farthest apart."""
    if weights == "none":
        return np.eye(kinds)
    places = np.arange(kinds)
    distance = np.abs(places[:, None] - places) / max(1, kinds - 1)
    return np.asarray(1 - (distance if weights == "linear" else distance**2))


def _standard_error(table: Floats, weight: Floats, value: float, chance: float) -> float:
    """Of kappa, times √n (Fleiss, Cohen & Everitt 1969, formula 13)."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    means = (weight @ columns)[:, None] + rows @ weight  # (kinds, kinds)
    square = float((table * (weight - means * (1 - value)) ** 2).sum())
    return math.sqrt(max(0.0, square - (value - chance * (1 - value)) ** 2)) / (1 - chance)
