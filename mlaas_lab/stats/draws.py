"""How often each unit is there when units are drawn anew, or swapped between two systems. It knows counts alone."""

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.paired import FEW_KINDS

Ints = NDArray[np.int64]


def all_exchanges(times: Ints, differing: NDArray[np.bool_]) -> Ints:
    """Each way to swap some of the units that differ, as how many of each kind are swapped (2^n, units)."""
    single = np.repeat(np.flatnonzero(differing), times[differing])  # (n,) the kind of each
    patterns = (np.arange(2 ** len(single))[:, None] >> np.arange(len(single))) & 1  # (2^n, n)
    swapped = np.zeros((len(patterns), len(times)), dtype=np.int64)
    for at, kind in enumerate(single):
        swapped[:, kind] += patterns[:, at]
    return swapped


def drawn(chances: Ints, n: int, rows: int, generator: np.random.Generator) -> Ints:
    """How often each unit is there (rows, units) where `n` are drawn with replacement by their `chances` (units,)."""
    if len(chances) * FEW_KINDS <= n:
        return np.asarray(generator.multinomial(n, chances / chances.sum(), size=rows))
    alike = bool((chances == chances[0]).all())
    slots = np.arange(len(chances)) if alike else np.repeat(np.arange(len(chances)), chances)
    places = generator.integers(len(slots), size=(rows, n), dtype=np.uint32)
    if not alike:
        places = slots.astype(np.uint32)[places]
    places += (np.arange(rows, dtype=np.uint32) * np.uint32(len(chances)))[:, None]
    return np.bincount(places.ravel(), minlength=rows * len(chances)).reshape(rows, len(chances))


def swaps(times: Ints, rows: int, generator: np.random.Generator) -> Ints:
    """How many of each unit are swapped (rows, units) where each of so many (units,) is by the toss of a coin."""
    if times.max() > 1:
        return np.asarray(generator.binomial(times, 0.5, size=(rows, len(times))))
    return generator.integers(2, size=(rows, len(times)), dtype=np.int8) * times
