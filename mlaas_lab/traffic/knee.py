"""Where a target breaks: the load curve of a sweep, and the rate up to which enough answers are good.

Whether a share of good answers is enough is sure only where its whole interval is on one side; the knee's own interval
is what lies between the rates of which it is sure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mlaas_lab.traffic.figures import Figures, figures, share

ENOUGH = 0.95
"""Share of requests that must be good."""
SLOWER = 3.0
"""Without an objective: an answer is good that takes at most so many times the 90th percentile of the lightest load."""
FINE = 1.1
"""A sweep ends when the rate that held and the one that broke are at most this factor apart."""
FACTOR = 2.0
"""From one rate to the next, until one breaks."""
MOST = 16
"""Rates of a sweep."""


@dataclass(frozen=True, kw_only=True)
class Knee:
    """The highest rate at which enough requests were good, below any at which too few were."""

    rate: float | None
    """None: even the lightest load was too much."""
    low: float | None
    """Highest rate that surely held; None: none did."""
    high: float | None
    """Lowest rate that surely broke; None: none did."""


def curve(frame: pl.DataFrame, slo: Mapping[str, float]) -> list[Figures]:
    """The figures of each rate that was offered, the lightest first."""
    offered = frame.filter(pl.col("offered_rate").is_not_null())
    parts = offered.partition_by("offered_rate", maintain_order=False, as_dict=True)
    return [figures(part, slo) for _, part in sorted(parts.items(), key=lambda item: float(item[0][0]))]


def objective(frame: pl.DataFrame, slo: Mapping[str, float]) -> dict[str, float]:
    """`slo`, or without one what the lightest load of `frame` suggests; empty if nothing was answered then."""
    if slo:
        return dict(slo)
    lightest = frame.filter(pl.col("offered_rate") == pl.col("offered_rate").min())
    usual = lightest["latency_s"].quantile(0.9, interpolation="linear")
    return {} if usual is None else {"latency_s": SLOWER * usual}


def holds(step: Figures) -> bool:
    """Whether enough of its requests were good."""
    return step.good is not None and (step.good.share or 0.0) >= ENOUGH


def knee(steps: Sequence[Figures]) -> Knee | None:
    """Where `steps`, the lightest first, break; None for fewer than two, or without an objective."""
    if len(steps) < 2 or any(step.good is None for step in steps):
        return None
    sure = [_surely(step) for step in steps]
    rates = [step.offered_per_s or 0.0 for step in steps]
    broken = next((i for i, step in enumerate(steps) if not holds(step)), len(steps))
    low = next((rate for rate, known in reversed(list(zip(rates, sure, strict=True))[:broken]) if known is True), None)
    high = next((rate for rate, known in list(zip(rates, sure, strict=True))[broken:] if known is False), None)
    return Knee(rate=rates[broken - 1] if broken else None, low=low, high=high)


def telling(frame: pl.DataFrame, found: Knee | None) -> pl.DataFrame:
    """The part of `frame` whose times say most: of a sweep the load at the knee, or the lightest where none held.

    Loads below and beyond the knee together are the times of nobody.
    """
    if found is None:
        return frame
    rate = frame["offered_rate"].min() if found.rate is None else found.rate
    return frame.filter(pl.col("offered_rate") == rate)


def following(steps: Sequence[Figures]) -> float | None:
    """The next rate of a sweep after `steps`, in any order; None when it is over."""
    if len(steps) >= MOST:
        return None
    ordered = sorted(steps, key=lambda step: step.offered_per_s or 0.0)
    found = knee(ordered)
    rates = [step.offered_per_s or 0.0 for step in ordered]
    broken = next((rate for rate, step in zip(rates, ordered, strict=True) if not holds(step)), None)
    if broken is None:
        return rates[-1] * FACTOR
    held = found.rate if found else None
    if held is None:
        return broken / FACTOR if len(steps) < MOST // 2 else None
    return None if broken / held <= FINE else (held * broken) ** 0.5


def _surely(step: Figures) -> bool | None:
    """Whether enough were good; None where so few requests cannot tell."""
    good = step.good or share(0, 0)
    if good.ci_low is not None and good.ci_low >= ENOUGH:
        return True
    return False if good.ci_high is not None and good.ci_high < ENOUGH else None
