"""The traffic that is planned for: when requests come and how long they are, for some days. It knows no target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.traffic import traces
from mlaas_lab.view.formats import count, duration

DAY_S = 86_400.0
STRETCH_S = 600.0
"""A shape is a rate for each stretch of that length."""
SWING = 0.8
"""Of a diurnal shape: at its peak the rate is 1.8 times the mean, at its low 0.2 times."""
PEAK_H = 14.0
"""The hour of that peak, and the middle of the hours in which there is traffic at all."""
BURST_CV = 1.0
"""Of a bursty shape: standard deviation over mean of the rates of its stretches."""
MOST = 5_000_000
"""Requests that are followed one by one."""
Shape = Literal["diurnal", "bursty", "flat"]
Whole = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Requests of some days in the order in which they come."""

    times_s: Floats
    """(n,), ascending, since the first day began."""
    days: int
    said: str
    """What it is, in a few words."""
    input_tokens: Whole | None = None
    """(n,); None: as long as those that a target was measured with."""
    output_tokens: Whole | None = None
    assumed: tuple[str, ...] = field(default=())
    """What was assumed, each in a sentence."""

    @property
    def n(self) -> int:
        """Requests."""
        return len(self.times_s)

    @property
    def per_day(self) -> float:
        """Requests a day."""
        return self.n / self.days

    @property
    def peak_per_s(self) -> float:
        """Requests a second in the busiest minute."""
        return float(np.bincount((self.times_s // 60).astype(np.int64)).max()) / 60


def recorded(path: Path, names: Mapping[str, str], *, days: int) -> Demand:
    """`days` of the trace in file `path`, which is repeated from its start where it is shorter.

    Raises:
        DataError: if it cannot be read, or says no rate.
        UsageError: if that is more than can be followed.
    """
    trace = traces.read(path, names)
    n, span_s = len(trace.times_s), float(trace.times_s[-1])
    if n < 2 or span_s <= 0:
        raise DataError(f"{path}: {n} requests at one time say no rate.", next="Or say --requests-per-day N.")
    # The gap from the last one to the first of the next round is as long as others are.
    round_s = span_s * n / (n - 1)
    rounds = -(-days * DAY_S // round_s)
    _check(n * days * DAY_S / round_s, days)
    times_s = (np.arange(rounds)[:, None] * round_s + trace.times_s).ravel()
    kept = int(np.searchsorted(times_s, days * DAY_S))
    assumed = [f"The trace lasts {duration(span_s)}; it is repeated {count(rounds)} times."] if rounds > 1 else []
    if trace.n_late:
        assumed.append(f"{count(trace.n_late)} of {count(n)} rows of {path.name} were out of order; they were sorted.")
    return Demand(
        times_s=times_s[:kept],
        days=days,
        said=f"{path.name}, {count(n)} requests",
        input_tokens=np.tile(trace.input_tokens, int(rounds))[:kept],
        output_tokens=np.tile(trace.output_tokens, int(rounds))[:kept],
        assumed=tuple(assumed),
    )


def shaped(
    shape: Shape, per_day: float, *, days: int, hours: float = 24.0, sizes: tuple[int, int] | None = None, seed: int = 0
) -> Demand:
    """`days` of `per_day` requests in `hours` of each day.

    Given their number, the times of a Poisson process whose rate changes are independent draws from that rate (Ross
    2014, theorem 5.2 and section 5.4.1). The rates of bursty stretches are gamma variates, as in BurstGPT's bursts
    (Wang et al. 2024).

    Args:
        shape: `diurnal` swings over the day, `bursty` has another rate every ten minutes, `flat` has one.
        per_day: on average.
        days: at least 1.
        hours: those around the peak hour; there is no traffic in the others.
        sizes: input and output tokens of each; None: as measured.
        seed: of the times.

    Raises:
        UsageError: if that is less than two requests, or more than can be followed.
    """
    n = round(per_day * days)
    if n < 2:
        raise UsageError(f"{per_day:g} requests a day for {days} days are {n}: no rate.", next="Raise one of them.")
    _check(n, days)
    random = np.random.default_rng([seed, 1])
    rates = _rates(shape, days, hours, random)
    ends = np.concatenate([[0.0], np.cumsum(rates)])
    at = np.interp(random.uniform(0.0, ends[-1], n), ends, np.arange(len(ends)) * STRETCH_S)
    inputs, outputs = (np.full(n, size, dtype=np.int64) for size in sizes) if sizes else (None, None)
    open_h = f" within {hours:g} hours of each" if hours < 24 else ""
    return Demand(
        times_s=np.sort(at),
        days=days,
        said=f"{count(per_day)} requests a day{open_h}, {shape}",
        input_tokens=inputs,
        output_tokens=outputs,
        assumed=(_shape_said(shape),),
    )


def _rates(shape: Shape, days: int, hours: float, random: np.random.Generator) -> Floats:
    """Rate of each stretch, in any unit."""
    middle_h = ((np.arange(round(days * DAY_S / STRETCH_S)) + 0.5) * STRETCH_S / 3600) % 24
    rates = np.ones(len(middle_h))
    if shape == "diurnal":
        rates = 1 + SWING * np.cos(2 * np.pi * (middle_h - PEAK_H) / 24)
    if shape == "bursty":
        rates = random.gamma(1 / BURST_CV**2, BURST_CV**2, len(middle_h))
    apart_h = np.abs((middle_h - PEAK_H + 12) % 24 - 12)
    # At least one stretch a day is open.
    found: Floats = np.where(apart_h <= max(hours / 2, apart_h.min()), rates, 0.0)
    return found


def _shape_said(shape: Shape) -> str:
    words = {
        "diurnal": f"Diurnal: the rate swings as a cosine, at {PEAK_H:g} h {1 + SWING:g} times its mean.",
        "bursty": f"Bursty: every {duration(STRETCH_S)} another rate, gamma with a coefficient of variation of 1.",
        "flat": "Flat: one rate at all times.",
    }
    return f"{words[shape]} Within it requests come at random (Poisson)."


def _check(n: float, days: int) -> None:
    if n > MOST:
        raise UsageError(
            f"{count(n)} requests in {days} days are more than the {count(MOST)} that are followed one by one.",
            next="Lower --days: what a day bills and needs says the same.",
        )
