"""Sums over numbers too many to walk over several times: a block of them is looked at while the processor has it near.

It knows arrays of numbers, and nothing of what they mean.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 8_192
"""Numbers that lie near the processor together with what is made of them; from 10,000 on numpy's BLAS starts threads,
which takes far longer."""


def blocks(values: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """`values` (n,) in portions, without a copy."""
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What tests and limits need of n numbers, at least one."""

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
    least: float
    """The smallest |x| that is not 0; infinite where all are."""

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Sums":
        """Those of `values` (n,), in one walk.

        Powers are summed around the mean of the first block, then moved to that of all: around 0 they would cancel.
        """
        start = float(values[:BLOCK].mean())
        sums, others, least = np.zeros(7), 0, math.inf
        for block in blocks(values):
            squares, apart = block * block, block - start
            near = apart * apart
            around = apart.sum(), near.sum(), near @ apart, near @ near
            sums += (block.sum(), squares.sum(), squares @ squares, *around)
            known = int(np.count_nonzero(block))
            others += known
            sizes = np.abs(block)
            least = min(least, float((sizes if known == len(block) else np.where(block == 0, math.inf, sizes)).min()))
        n, (total, square, fourth, first, second, third, last) = len(values), sums.tolist()
        off = first / n
        return cls(
            n=n,
            total=total,
            square=square,
            fourth=fourth,
            around=max(0.0, second - n * off**2),
            around_fourth=max(0.0, last - 4 * off * third + 6 * off**2 * second - 3 * n * off**4),
            n_other=others,
            least=least,
        )
