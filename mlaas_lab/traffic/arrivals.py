"""When requests are wanted, in seconds from the start, all decided before the first is sent. It knows no clock."""

from typing import Literal

import numpy as np

from mlaas_lab.stats.intervals import Floats


def arrivals(kind: Literal["poisson", "constant"], rate: float, duration_s: float, *, seed: int = 0) -> Floats:
    """Times within `duration_s` (n,), ascending, at exactly `rate` a second on the whole.

    Those of a Poisson process are, given their number, as many uniform draws in order (Ross 2014, Introduction to
    Probability Models, theorem 5.2). The number is fixed at its mean, so that what is offered is what was named.

    Raises:
        ValueError: if that is less than one.
    """
    n = round(rate * duration_s)
    if n < 1:
        raise ValueError(f"{rate:g} a second for {duration_s:g} s is less than one request")
    if kind == "constant":
        return np.arange(n) / rate
    found: Floats = np.sort(np.random.default_rng(seed).uniform(0.0, duration_s, n))
    return found
