"""Where a mean, a share or a quantile probably lies.

A sample without spread is not a certainty: 20 right answers of 20 give 84 % to 100 %, never 100 % to 100 %. Where the
numbers say nothing about the spread and no bound helps, the limits are None.
"""

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.stats.student import NORMAL, t_quantile
from mlaas_lab.stats.sums import blocks, numbers

Floats = NDArray[np.float64]
Limits = tuple[float | None, float | None]
"""Lower and upper; None where the numbers do not say."""
MANY = 10_000
"""From here on binomial chances are computed only where they are not 0 to sixteen digits."""
NOWHERE = 12.0
"""Standard deviations from its mean beyond which a binomial count never lies: a chance below 1e-32."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """All that the limits of a mean need of n values; those of two tables can be added."""

    n: int
    mean: float
    square: float
    """Σ (x - mean)²."""
    low: float
    high: float
    binary: bool
    """Every value is 0 or 1."""

    @classmethod
    def of(cls, values: Floats) -> "Moments":
        """Those of `values` (n,), of which there is at least one."""
        return cls.over(blocks(values))

    @classmethod
    def over(cls, portions: Iterable[Floats]) -> "Moments":
        """Those of all values in some portions, at least one portion and none empty."""
        return reduce(operator.add, map(cls._of, portions))

    @classmethod
    def among(cls, values: Floats) -> "Moments | None":
        """Those of all numbers among `values` (n,), NaN for none; None where there is no number."""
        portions = numbers(blocks(values))
        first = next(portions, None)
        return None if first is None else cls.over(chain([first], portions))

    @classmethod
    def _of(cls, values: Floats) -> "Moments":
        mean = float(values.mean())
        square = float(((values - mean) ** 2).sum())
        ends = float(values.min()), float(values.max())
        return cls(n=len(values), mean=mean, square=square, low=ends[0], high=ends[1], binary=is_binary(values))

    def __add__(self, other: "Moments") -> "Moments":
        """Of both tables together (Chan, Golub & LeVeque 1979)."""
        n, apart = self.n + other.n, other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + apart * other.n / n,
            square=self.square + other.square + apart * apart * self.n * other.n / n,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            binary=self.binary and other.binary,
        )

    @property
    def share(self) -> bool:
        """Every value lies within 0 and 1."""
        return self.low >= 0 and self.high <= 1

    @property
    def turned(self) -> "Moments":
        """Of what each value lacks to 1."""
        return replace(self, mean=1 - self.mean, low=1 - self.high, high=1 - self.low)

    @property
    def total(self) -> float:
        """The sum; a whole number where every value is 0 or 1."""
        total = self.mean * self.n
        return round(total) if self.binary else total

    @property
    def variance(self) -> float:
        """With n - 1."""
        return self.square / (self.n - 1)


_PADDING = Moments(n=4, mean=0.5, square=1.0, low=0.0, high=1.0, binary=True)
"""Two zeros and two ones."""


def wilson(successes: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927; recommended by Brown, Cai & DasGupta 2001 for any n).

    Raises:
        ValueError: unless 0 ≤ successes ≤ n and n > 0.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"wilson needs 0 ≤ successes ≤ n and n > 0, not {successes!r} of {n!r}")
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return low, 1.0 if successes == n else min(1.0, middle + half)


def mean_limits(values: Floats | Moments, *, share: bool | None = None, confidence: float = 0.95) -> Limits:
    """Limits of the mean of independent `values` (n,): of shares, or, if `share` is None, of what looks like them.

    All 0 or 1: Wilson. All within 0 and 1: Student's t after adding two zeros and two ones (the device of Agresti &
    Coull 1998), so that a sample without spread does not read as certainty. Else: Student's t, None without spread.
    """
    if not isinstance(values, Moments):
        if not len(values):
            return None, None
        values = Moments.of(values)
    if values.binary and share is not False:
        return wilson(values.total, values.n, confidence=confidence)
    if values.share and share is not False:
        low, high = _student(values + _PADDING, confidence)
        return max(0.0, low), min(1.0, high)
    if values.n < 2 or values.low == values.high:
        return None, None
    return _student(values, confidence)


def quantile_limits(values: Floats, q: float, *, confidence: float = 0.95) -> Limits:
    """Distribution-free limits of quantile `q`: order statistics with binomial ranks (David & Nagaraja 2003, 7.1).

    A side is None when so few values cannot bound it: the 99th percentile of 50 has no upper limit.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    return quantile_limits_of(np.sort(values), q, confidence=confidence)


def quantile_limits_of(ordered: Floats, q: float, *, confidence: float = 0.95) -> Limits:
    """The same of values that are in ascending order.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    n = len(ordered)
    if n == 0:
        return None, None
    first, chances = _likely(n, q)
    below = np.cumsum(chances)  # P(at most k values lie below the quantile), k from `first`
    tail = (1 - confidence) / 2
    lower = first + int(np.searchsorted(below, tail, side="right"))
    upper = first + int(np.searchsorted(below, 1 - tail, side="left"))
    low = float(ordered[lower - 1]) if lower >= 1 else None
    return low, float(ordered[upper]) if upper < n else None


def fewest_for(q: float, *, confidence: float = 0.95) -> int:
    """The least number of values that bounds quantile `q` on both sides: 368 for the 99th percentile, 72 for the 95th.

    Fewer leave a chance above (1 - confidence) / 2 that all of them lie on one side of it.

    Raises:
        ValueError: unless 0 < q < 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))


def binomial(n: int, p: float) -> Floats:
    """Probabilities of 0 … n successes (n + 1,), through logarithms of factorials."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    result: Floats = np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
    return result


def _likely(n: int, p: float) -> tuple[int, Floats]:
    """The least number of successes that is not impossible to sixteen digits, and the probabilities from it on."""
    if n < MANY:
        return 0, binomial(n, p)
    reach = math.ceil(NOWHERE * math.sqrt(n * p * (1 - p)))
    first, last = max(0, math.floor(n * p) - reach), min(n, math.ceil(n * p) + reach)
    k = np.arange(first, last)
    start = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    start += first * math.log(p) + (n - first) * math.log1p(-p)
    steps = np.log((n - k) / (k + 1)) + math.log(p) - math.log1p(-p)
    return first, np.exp(start + np.concatenate([[0.0], np.cumsum(steps)]))


def is_binary(values: Floats) -> bool:
    """Every value is 0 or 1."""
    return all(bool(((block == 0) | (block == 1)).all()) for block in blocks(values))


def is_share(values: Floats) -> bool:
    """Every value lies within 0 and 1."""
    return all(bool(((block >= 0) & (block <= 1)).all()) for block in blocks(values))


def _student(values: Moments, confidence: float) -> tuple[float, float]:
    half = t_quantile(0.5 + confidence / 2, values.n - 1) * math.sqrt(values.variance / values.n)
    return values.mean - half, values.mean + half
