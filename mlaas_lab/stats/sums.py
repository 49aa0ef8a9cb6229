"""Sums over numbers too many to walk over several times: a block of them is looked at while the processor has it near.

It knows arrays of numbers, and nothing of what they mean.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 8_192
"""Numbers that lie near the processor together with what is made of them; from 10,000 on numpy's BLAS starts threads,
which takes far longer."""


def blocks(values: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """`values` (n,) in portions, without a copy."""
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))


def numbers(portions: Iterable[NDArray[np.float64]]) -> Iterator[NDArray[np.float64]]:
    """The portions without what is not a number, and none that is empty then."""
    for block in portions:
        missing = np.isnan(block)
        kept = block[~missing] if missing.any() else block
        if len(kept):
            yield kept


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What tests and limits need of n numbers."""

    n: int
    total: float
    square: float
    """Σx²."""
    fourth: float
    """Σx⁴."""
    around: float
    """Σ(x - mean)²."""
    around_fourth: float
    """Σ(x - mean)⁴."""
    n_other: int
    """Numbers that are not 0."""
    n_above: int
    """Numbers above 0."""
    least: float
    """The smallest |x| that is not 0; infinite where all are."""
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Sums":
        """Those of `values` (n,)."""
        return cls.over(blocks(values))

    @classmethod
    def over(cls, portions: Iterable[NDArray[np.float64]]) -> "Sums":
        """Those of all numbers in some portions, none of which is empty, in one walk.

        Powers are summed around the mean of the first portion, then moved to that of all: around 0 they would cancel.
        """
        start, n, others, above, sums = math.nan, 0, 0, 0, np.zeros(7)
        least, low, high = math.inf, math.inf, -math.inf
        for block in portions:
            start = start if n else float(block.mean())
            n += len(block)
            squares, apart = block * block, block - start
            near = apart * apart
            around = apart.sum(), near.sum(), near @ apart, near @ near
            sums += (block.sum(), squares.sum(), squares @ squares, *around)
            nonzero = int(np.count_nonzero(block))
            others += nonzero
            above += int(np.count_nonzero(block > 0))
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            sizes = np.abs(block)
            least = min(least, float((sizes if nonzero == len(block) else np.where(block == 0, math.inf, sizes)).min()))
        total, square, fourth, first, second, third, last = sums.tolist()
        off = first / n if n else 0.0
        return cls(
            n=n,
            total=total,
            square=square,
            fourth=fourth,
            around=max(0.0, second - n * off**2),
            around_fourth=max(0.0, last - 4 * off * third + 6 * off**2 * second - 3 * n * off**4),
            n_other=others,
            n_above=above,
            least=least,
            low=low,
            high=high,
        )

    @classmethod
    def of_steps(cls, n: int, *, above: int, below: int) -> "Sums":
        """Those of `n` numbers that are 1 (`above` of them), -1 (`below`), or 0."""
        other, mean = above + below, (above - below) / n if n else 0.0
        equal = n - other
        return cls(
            n=n,
            total=float(above - below),
            square=float(other),
            fourth=float(other),
            around=above * (1 - mean) ** 2 + below * (1 + mean) ** 2 + equal * mean**2,
            around_fourth=above * (1 - mean) ** 4 + below * (1 + mean) ** 4 + equal * mean**4,
            n_other=other,
            n_above=above,
            least=1.0 if other else math.inf,
            low=-1.0 if below else 0.0 if equal else 1.0,
            high=1.0 if above else 0.0 if equal else -1.0,
        )
