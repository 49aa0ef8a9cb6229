"""Student's t and the normal distribution: the quantiles that intervals stand on, without scipy."""

import math
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()
"""Mean 0, standard deviation 1."""
LARGE = 10_000
"""Degrees of freedom from which on the first powers of 1 / df say all sixteen digits of a quantile."""


def t_cdf(t: float, df: float) -> float:
    """P(T ≤ t) of Student's distribution with `df` degrees of freedom (Abramowitz & Stegun 26.7.1)."""
    square = t * t
    if square < df:
        # 1 - df / (df + t²) would lose the digits of a small t.
        tail = 0.5 - 0.5 * incomplete_beta(square / (df + square), 0.5, df / 2)
    else:
        tail = 0.5 * incomplete_beta(df / (df + square), df / 2, 0.5)
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=1024)
def t_quantile(p: float, df: float) -> float:
    """The t with P(T ≤ t) = p.

    Raises:
        ValueError: unless 0 < p < 1 and df > 0.
    """
    if not (0 < p < 1 and df > 0):
        raise ValueError(f"t_quantile needs 0 < p < 1 and df > 0, not p={p!r}, df={df!r}")
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, df)
    if df >= LARGE:
        return _expanded(NORMAL.inv_cdf(p), df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        low, high = high, high * 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2


def _expanded(z: float, df: float) -> float:
    """The quantile from the normal one, in powers of 1 / df (Abramowitz & Stegun 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / df + second / df**2 + third / df**3


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised I_x(a, b), by its continued fraction on the side where it converges fast."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's evaluation of the continued fraction (Press et al., Numerical Recipes, 3rd ed., section 6.4)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    total = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 + term * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + term / c
            c = c if abs(c) > tiny else tiny
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return total
