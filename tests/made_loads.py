"""Load tests in virtual time: a loop whose clock jumps, a target with known delays, and the records of both."""

import asyncio
import selectors
from functools import cache

import numpy as np
import polars as pl

from mlaas_lab import records
from mlaas_lab.traffic.arrivals import arrivals
from mlaas_lab.traffic.sending import at_their_times, so_many_at_once

MEDIAN_S, SIGMA = 0.2, 0.4
"""Of the log-normal delay to the first token."""
REST_S = 0.1
"""From there to the end."""
STALL_S = 2.0
RATE, DURATION_S = 40.0, 12.0
"""Of a load in virtual time."""
LIMIT = 10
"""In flight at once, where something holds requests back."""


class JumpingLoop(asyncio.SelectorEventLoop):
    """Nobody waits: where all wait for a time, it is that time."""

    def __init__(self):
        super().__init__(_Jumping(self))
        self.at = 1000.0

    def time(self):
        return self.at


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout:
            self._loop.at += timeout
        return super().select(0)


def in_virtual_time(main):
    """The result of coroutine function `main(loop)`."""
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()


class Target:
    """Stands still once, for STALL_S from `stalls_at` on, by the loop's clock; else it answers after known delays."""

    def __init__(self, loop, *, seed, stalls_at=None):
        self.loop, self.stalls_at = loop, stalls_at
        self.random = np.random.default_rng([seed, 1])

    async def answer(self):
        """When the first token came, and the last."""
        now = self.loop.time()
        if self.stalls_at is not None and self.stalls_at <= now < self.stalls_at + STALL_S:
            await asyncio.sleep(self.stalls_at + STALL_S - now)
        await asyncio.sleep(MEDIAN_S * float(np.exp(SIGMA * self.random.standard_normal())))
        first = self.loop.time()
        await asyncio.sleep(REST_S)
        return first, self.loop.time()


def load(seed, *, way="open", stalls=True, duration_s=DURATION_S):
    """The records of one load in virtual time.

    `way` is `open` as ours, or one to fool oneself: `closed`, or `from its leaving`, which holds requests back and
    counts from when they left.
    """

    async def main(loop):
        start = loop.time()
        target = Target(loop, seed=seed, stalls_at=start + 4.0 if stalls else None)
        rows, turns = [], asyncio.Semaphore(LIMIT)

        async def honest(_n, wanted):
            sent = loop.time()
            rows.append(row(wanted, *await target.answer(), sent=sent))

        async def from_its_leaving(_n, _wanted):
            async with turns:
                sent = loop.time()
                rows.append(row(sent, *await target.answer(), sent=sent))

        if way == "closed":
            over = lambda _n: loop.time() >= start + duration_s  # noqa: E731
            await so_many_at_once(LIMIT, honest, clock=loop.time, over=over, stopping=lambda: False)
        else:
            times = (start + arrivals("poisson", RATE, duration_s, seed=seed)).tolist()
            send = honest if way == "open" else from_its_leaving
            await at_their_times(times, send, clock=loop.time, stopping=lambda: False)
        return rows

    return frame(in_virtual_time(main))


@cache
def truth(q, *, duration_s, stalls, rest_s=0.0, median_s=MEDIAN_S, sigma=SIGMA):
    """Quantile `q` of the delays of requests that come at any time of `duration_s`, the stall within it."""
    random = np.random.default_rng(99)
    delay = median_s * np.exp(sigma * random.standard_normal(2_000_000)) + rest_s
    if stalls:
        came = random.uniform(0, duration_s, len(delay))
        delay += np.where(came < STALL_S, STALL_S - came, 0.0)
    return float(np.quantile(delay, q))


def frame(rows):
    """Records from rows of the columns that a load test fills; the others are null."""
    whole = {"target": "t", "offered_rate": 10.0, "attempts": 1}
    return pl.DataFrame([{**whole, **row} for row in rows], schema=records.schema(), orient="row")


def row(wanted, first, end, *, sent=None, **more):
    """An answered request, its times from when it was wanted."""
    times = {"intended_at": wanted, "started_at": wanted if sent is None else sent, "ended_at": end}
    return {**times, "latency_s": end - wanted, "ttft_s": first - wanted, "sample_id": f"{wanted}", **more}
