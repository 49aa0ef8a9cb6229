"""How long requests wait, from when they came and how long each takes; the first that came is the first served.

It knows arrays of seconds and nothing else. Each request is followed one by one, so any arrivals and any service times
do: G/G/k.
"""

from heapq import heapreplace

import numpy as np

from mlaas_lab.stats.intervals import Floats


def waits(times_s: Floats, services_s: Floats, places: int) -> Floats:
    """Seconds (n,) that each request waits for one of `places` equal places.

    With one place Lindley's recursion (1952), with more the one of Kiefer & Wolfowitz (1955): the place that is free
    first takes whoever came first.

    Args:
        times_s: when each came (n,), ascending.
        services_s: how long it holds its place (n,).
        places: at least 1.

    Raises:
        ValueError: for fewer than one place.
    """
    if places < 1:
        raise ValueError(f"nobody is served at {places} places")
    if places == 1:
        return _ends(times_s, services_s) - services_s - times_s
    if most_at_once(times_s, services_s) <= places:
        return np.zeros_like(times_s)
    free = [float(times_s[0])] * places
    starts = times_s.tolist()
    for i, (came, service) in enumerate(zip(starts, services_s.tolist(), strict=True)):
        first = free[0]
        if first > came:
            starts[i] = first
            heapreplace(free, first + service)
        else:
            heapreplace(free, came + service)
    return np.array(starts) - times_s


def most_at_once(times_s: Floats, services_s: Floats) -> int:
    """The most requests that are in service at one time where nobody waits: more places than that change nothing."""
    if not len(times_s):
        return 0
    ended = np.searchsorted(np.sort(times_s + services_s), times_s, side="right")
    return int((np.arange(1, len(times_s) + 1) - ended).max())


def held_back(times_s: Floats, amounts: Floats, *, per_s: float, burst: float) -> Floats:
    """Seconds (n,) that a limit holds each request back: a bucket of `burst` that fills again by `per_s` a second.

    What leaves such a bucket is what came, shifted as little as its curve allows (Le Boudec & Thiran 2001, section
    1.5); that is a queue of one place whose end may be `burst` ahead.

    Args:
        times_s: when each comes (n,), ascending.
        amounts: what each takes from the bucket (n,): 1 of requests, or its tokens.
        per_s: more than 0.
        burst: what a full bucket holds.
    """
    ends = _ends(times_s, amounts / per_s)
    held: Floats = np.maximum(0.0, ends - burst / per_s - times_s)
    return held


def _ends(times_s: Floats, services_s: Floats) -> Floats:
    """When each is done (n,) where one follows another: Lindley's recursion, unrolled into sums and a maximum."""
    whole = np.cumsum(services_s)
    ends: Floats = whole + np.maximum.accumulate(times_s - (whole - services_s))
    return ends
