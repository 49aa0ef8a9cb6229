"""What records say of a target that a plan needs: what a call costs, how often it is right, how much a server bears.

A server is as many places as it had requests in hand when it was loaded most, each held as long as answers then took
(Little 1961: at hand = rate × time). It knows records, and nothing of traffic to come.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from mlaas_lab import pricing
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.planning.break_even import Estimate
from mlaas_lab.schema import Target
from mlaas_lab.stats.intervals import Floats, wilson
from mlaas_lab.stats.student import t_quantile
from mlaas_lab.traffic.figures import Figures, figures
from mlaas_lab.traffic.knee import Knee, curve, knee, objective, telling

BATCHES = 10
"""Spans of equal length whose rates of answers tell how sure the rate of all is (batch means, Law 2015, 9.5.3)."""
KEPT_UP = 0.9
"""Share of what was offered; a server that answered less was full."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Measured answers, from which those to come are drawn."""

    latency_s: Floats
    """(n,)"""
    ttft_s: Floats | None
    """None where any is unknown."""
    input_tokens: Floats | None
    output_tokens: Floats | None


@dataclass(frozen=True, kw_only=True)
class Server:
    """What one server bears, as a load test found it."""

    per_s: Estimate
    """Answers a second at the most."""
    places: int
    answers: Answers
    """At that load."""
    said: str
    """Where the figure comes from."""


@dataclass(frozen=True, kw_only=True)
class Right:
    """How often answers are right by one metric, and what a right one costs."""

    share: Estimate
    usd: Estimate | None
    """None without a price or without a right answer."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that records say of one target."""

    target: Target
    name: str
    own: bool
    """It runs on a machine of one's own."""
    emulated: bool = False
    answers: Answers | None = None
    """Of the evaluation if there was one, else of the load test."""
    usd: Estimate | None = None
    """Of one answer, failed calls paid by those that were answered."""
    unpriced: str = ""
    """Why there is no such figure."""
    server: Server | None = None
    unserved: str = ""
    tried_per_s: float | None = None
    """Requests a second that it was measured with at the most; None where nobody asked it."""
    right: Mapping[str, Right] = field(default_factory=dict)


def measured(frame: pl.DataFrame, *, own: frozenset[str] = frozenset(), slo: Mapping[str, float]) -> list[Measured]:
    """What `frame`, records of evaluations and load tests, says of each target, in their order.

    Args:
        frame: records.
        own: names of targets that run on one's own machine although their name does not say so.
        slo: what made an answer good in the load tests; by default as slow as the lightest load suggests.
    """
    parts = frame.partition_by("target", maintain_order=True, as_dict=True)
    return [_of(str(name), part, own, slo) for (name,), part in parts.items()]


def _of(name: str, rows: pl.DataFrame, own: frozenset[str], slo: Mapping[str, float]) -> Measured:
    target = _placed(Target.parse(name), rows)
    ours = name in own or rows["provider"].null_count() == len(rows) or pricing.is_local(target)
    loads = _latest(rows.filter(pl.col("intended_at").is_not_null()))
    asked = rows.filter(pl.col("intended_at").is_null())
    found = _knee(loads, slo)
    about = telling(loads, found) if asked.is_empty() else asked
    usd, unpriced = _usd(about)
    server, unserved = _server(loads, found) if ours else (None, "")
    return Measured(
        target=target,
        name=name,
        own=ours,
        emulated=bool(rows["emulated"].any()),
        answers=_answers(about),
        usd=usd,
        unpriced=unpriced,
        server=server,
        unserved=unserved,
        tried_per_s=max((rate for part in (loads, asked) if (rate := _tried(part)) is not None), default=None),
        right=_right(asked),
    )


def _placed(target: Target, rows: pl.DataFrame) -> Target:
    """`target` in the region where it was asked, with the provider that its other name hides."""
    known = {name: next(iter(rows[name].drop_nulls()), None) for name in ("region", "provider", "model")}
    params = dict(target.params)
    if known["region"]:
        params.setdefault("region", known["region"])
    if target.provider is None and known["provider"]:
        return Target(provider=known["provider"], model=known["model"] or target.model, params=tuple(params.items()))
    return Target(provider=target.provider, model=target.model, params=tuple(params.items()))


def _latest(loads: pl.DataFrame) -> pl.DataFrame:
    """Of several load tests the last one: a server may have been another before."""
    if loads.is_empty():
        return loads
    return loads.filter(pl.col("run_id").eq_missing(pl.lit(loads.sort("intended_at")["run_id"][-1])))


def _usd(rows: pl.DataFrame) -> tuple[Estimate | None, str]:
    bill = bills(rows)[0]
    if bill.usd_per_1000_answers is None:
        return None, "nobody answered" if not bill.n_answers else "its calls have no price"
    value = bill.usd_per_1000_answers / 1000
    if not bill.whole:
        return None, f"{bill.n_unknown} of {bill.n_calls} calls have no known price"
    return _estimate(value, bill.ci_low, bill.ci_high, scale=1000, same=True), ""


def _estimate(value: float, low: float | None, high: float | None, *, scale: float, same: bool) -> Estimate:
    """With limits of `scale` times the value; without any it is what it is if `same`: every call cost as much."""
    if low is None and high is None and same:
        return Estimate(value=value, low=value, high=value)
    return Estimate(value=value, low=None if low is None else low / scale, high=None if high is None else high / scale)


def _tried(rows: pl.DataFrame) -> float | None:
    """Requests a second, of the step that sent the most; None of fewer than two at different times."""
    found = []
    for step in rows.partition_by("run_id", "offered_rate") if len(rows) else []:
        began = step["started_at"].drop_nulls().to_numpy()
        span_s = float(began.max() - began.min()) if len(began) > 1 else 0.0
        if span_s > 0:
            found.append((len(began) - 1) / span_s)
    return max(found, default=None)


def _right(asked: pl.DataFrame) -> dict[str, Right]:
    if asked.is_empty():
        return {}
    bill = bills(asked)[0]
    found = {}
    for one in bill.successes:
        low, high = wilson(one.n, bill.n_calls)
        share = Estimate(value=one.n / bill.n_calls, low=low, high=high)
        if one.usd is None or not bill.whole:
            reason = "it gave no right answer" if not one.n else "its calls have no known price"
            found[one.metric] = Right(share=share, usd=None, reason=reason)
        else:
            usd = _estimate(one.usd, one.ci_low, one.ci_high, scale=1, same=one.n == bill.n_calls)
            found[one.metric] = Right(share=share, usd=usd)
    return found


def _knee(loads: pl.DataFrame, slo: Mapping[str, float]) -> Knee | None:
    """Of a sweep; None of anything else."""
    if loads["offered_rate"].drop_nulls().n_unique() < 2:
        return None
    return knee(curve(loads, objective(loads, slo)))


def _server(loads: pl.DataFrame, found: Knee | None) -> tuple[Server | None, str]:
    """What it bears; else why that is not known."""
    if loads.is_empty():
        return None, "no load test measured its throughput; run load --sweep"
    if loads["error"].null_count() == 0:
        return None, "its load test has no answer"
    if found is not None and found.rate is None:
        return None, "even the lightest rate of its load test was too much"
    rows = telling(loads, found)
    at = figures(rows, {})
    if not at.requests_per_s:
        return None, "its load test is too short to say a rate"
    per_s, said = _most(rows, at, found)
    answers = _answers(rows)
    if answers is None:
        return None, "its load test has no latency"
    places = max(1, round(per_s.value * float(answers.latency_s.mean())))
    return Server(per_s=per_s, places=places, answers=answers, said=said), ""


def _most(rows: pl.DataFrame, at: Figures, found: Knee | None) -> tuple[Estimate, str]:
    value, (low, high) = at.requests_per_s or 0.0, _limits(rows)
    if found is not None and found.rate:
        share = value / found.rate
        bottom = low if found.low is None else min(value, found.low * share)
        top = None if found.high is None else found.high * share
        return Estimate(value=value, low=bottom, high=top), f"at the knee of its sweep, {found.rate:.4g}/s offered"
    offered = at.offered_per_s
    sent = at.sent_per_s or 0.0
    if offered is not None and value < KEPT_UP * sent:
        full = f"it answered {value:.4g}/s of {sent:.4g}/s sent: full, so its times hold its own queue; see --sweep"
        return Estimate(value=value, low=low, high=high), full
    tried = "in a closed loop" if offered is None else f"at {offered:.4g}/s, the only rate tried"
    return Estimate(value=value, low=low, high=None), f"{tried}: it may bear more"


def _limits(rows: pl.DataFrame) -> tuple[float | None, float | None]:
    """Limits of the rate of answers, from that of equal spans; None for fewer than two answers a span."""
    wanted, ended = rows["intended_at"], rows.filter(pl.col("error").is_null())["ended_at"].to_numpy()
    begin, last = float(wanted.min()), float(wanted.max())  # type: ignore[arg-type]
    if len(ended) < 2 * BATCHES or last <= begin:
        return None, None
    # From when the first answers come to when the last request leaves: neither filling nor draining is its rate.
    begin = min(begin + float(np.median(rows["latency_s"].drop_nulls().to_numpy())), (begin + last) / 2)
    counts, _ = np.histogram(ended, bins=BATCHES, range=(begin, last))
    rates = counts * BATCHES / (last - begin)
    half = t_quantile(0.975, BATCHES - 1) * float(rates.std(ddof=1)) / math.sqrt(BATCHES)
    whole = len(ended) / (float(ended.max()) - float(wanted.min()))  # type: ignore[arg-type]
    return max(0.0, whole - half), whole + half


def _answers(rows: pl.DataFrame) -> Answers | None:
    fine = rows.filter(pl.col("error").is_null() & pl.col("latency_s").is_not_null())
    if fine.is_empty():
        return None
    known = {
        name: None if fine[name].null_count() else fine[name].cast(pl.Float64).to_numpy()
        for name in ("ttft_s", "input_tokens", "output_tokens")
    }
    return Answers(latency_s=fine["latency_s"].to_numpy(), **known)
