"""What the records of a load test say: times with intervals, throughput, goodput, errors. It stands on records alone.

A percentile that so few requests cannot bound on both sides is None: there is no p99 of 40. Gaps of one stream are
alike, so their intervals stand on requests. A request without an answer is never good.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from mlaas_lab.stats.intervals import Floats, fewest_for, quantile_limits_of, wilson
from mlaas_lab.stats.woodruff import FEWEST, clustered_quantile_limits

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Limits = tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class Times:
    """A distribution of seconds."""

    n: int
    """Requests behind it, or pieces of streams."""
    p50: float | None
    p95: float | None
    p99: float | None
    """None where too few stand behind it."""
    intervals: Mapping[str, Limits]
    """95 %, by the percentile's name; both None where it is None."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of all, with a 95 % interval (Wilson)."""

    n: int
    share: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How one load was answered."""

    offered_per_s: float | None
    """None in a closed loop."""
    sent_per_s: float | None
    n: int
    """Requests, failed ones included."""
    failed: Share
    limited: Share
    """Those that were too many for the target (429)."""
    by_error: Mapping[str, int]
    ttft_s: Times | None
    """Since the request was wanted; None unless streamed."""
    itl_s: Times | None
    """Gaps between the pieces of streams; a piece may have several tokens."""
    tpot_s: Times | None
    """Per output token after the first, of each request; None unless streamed and counted."""
    latency_s: Times
    """Since the request was wanted, to the end of its answer."""
    requests_per_s: float | None
    """Answers over the time from the first request wanted to the last end."""
    input_tokens_per_s: float | None
    output_tokens_per_s: float | None
    good: Share | None
    """Answers that met the objective; None without one."""
    good_per_s: float | None
    late_p50_s: float | None
    """How long after it was wanted a request left: our own delay, which every time includes."""
    late_p99_s: float | None
    """The plain quantile, whatever n is."""
    cost_usd: float | None
    """None where any price is unknown."""


def figures(frame: pl.DataFrame, slo: Mapping[str, float]) -> Figures:
    """The figures of `frame`, records of one load; `slo` bounds `ttft_s`, `itl_s`, `tpot_s` or `latency_s`."""
    rows = with_times(frame)
    n, fine = len(rows), rows.filter(pl.col("error").is_null())
    wall_s = _span(rows)
    good = rows.filter(met(slo)).height if slo else None
    errors = dict(rows.filter(pl.col("error").is_not_null())["error"].value_counts(sort=True).iter_rows())
    late = _values(rows, "late_s")
    return Figures(
        offered_per_s=_only(rows["offered_rate"]),
        sent_per_s=_sent(rows),
        n=n,
        failed=share(n - len(fine), n),
        limited=share(errors.get("rate_limited", 0), n),
        by_error=errors,
        ttft_s=_times(_values(fine, "ttft_s")),
        itl_s=_gaps(fine),
        tpot_s=_times(_values(fine, "tpot_s")),
        latency_s=_times(_values(fine, "latency_s")) or Times(n=0, p50=None, p95=None, p99=None, intervals={}),
        requests_per_s=_over(len(fine), wall_s),
        input_tokens_per_s=_over(_total(fine, "input_tokens"), wall_s),
        output_tokens_per_s=_over(_total(fine, "output_tokens"), wall_s),
        good=None if good is None else share(good, n),
        good_per_s=_over(good, wall_s),
        late_p50_s=float(np.quantile(late, 0.5)) if len(late) else None,
        late_p99_s=float(np.quantile(late, 0.99)) if len(late) else None,
        cost_usd=_total(rows, "cost_usd") if n else None,
    )


def with_times(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame`, which may lack the long column of gaps, with what an objective may bound as columns, and `late_s`."""
    kind = pl.List(pl.Float64)
    gaps = pl.col("gaps_s").str.json_decode(kind) if "gaps_s" in frame.columns else pl.lit(None, kind)
    return frame.with_columns(gaps=gaps).with_columns(
        itl_s=pl.col("gaps").list.mean(),
        tpot_s=1 / pl.col("tokens_per_s"),
        late_s=(pl.col("started_at") - pl.col("intended_at")).clip(lower_bound=0),
    )


def met(slo: Mapping[str, float]) -> pl.Expr:
    """Whether a row is an answer that met every bound of `slo`; what was not measured has not.

    An answer of one piece has no gap, and so none that is too long.
    """
    bounds = [pl.col(name) <= bound for name, bound in slo.items() if name not in ("itl_s", "tpot_s")]
    bounds += [
        (pl.col(name) <= bound) | (pl.col(name).is_null() & pl.col("ttft_s").is_not_null())
        for name, bound in slo.items()
        if name in ("itl_s", "tpot_s")
    ]
    return pl.all_horizontal(pl.col("error").is_null(), *(bound.fill_null(value=False) for bound in bounds))


def share(k: int, n: int) -> Share:
    """`k` of `n`."""
    low, high = wilson(k, n) if n else (None, None)
    return Share(n=k, share=k / n if n else None, ci_low=low, ci_high=high)


def _times(values: Floats) -> Times | None:
    if not len(values):
        return None
    ordered = np.sort(values)
    limits = {name: quantile_limits_of(ordered, q) for name, q in QUANTILES.items()}
    return _bounded(ordered, {name: limits[name] for name in limits if len(ordered) >= fewest_for(QUANTILES[name])})


def _gaps(rows: pl.DataFrame) -> Times | None:
    """Of all pieces together."""
    gaps = rows.select("gaps").with_row_index("owner").explode("gaps", empty_as_null=False).drop_nulls()
    if gaps.is_empty():
        return None
    values, owners = gaps["gaps"].to_numpy(), gaps["owner"].to_numpy().astype(np.int64)
    known = {
        name: clustered_quantile_limits(values, owners, q)
        for name, q in QUANTILES.items()
        if len(values) >= fewest_for(q) and gaps["owner"].n_unique() >= FEWEST
    }
    return _bounded(np.sort(values), known)


def _bounded(ordered: Floats, limits: Mapping[str, Limits]) -> Times:
    known = {name: pair for name, pair in limits.items() if None not in pair}
    found = {name: float(np.quantile(ordered, QUANTILES[name])) for name in known}
    return Times(
        n=len(ordered),
        p50=found.get("p50"),
        p95=found.get("p95"),
        p99=found.get("p99"),
        intervals={name: known.get(name, (None, None)) for name in QUANTILES},
    )


def _values(rows: pl.DataFrame, name: str) -> Floats:
    found: Floats = rows[name].drop_nulls().to_numpy()
    return found


def _total(rows: pl.DataFrame, name: str) -> float | None:
    """The sum; None where any is unknown."""
    column = rows[name]
    return None if column.null_count() else float(column.sum())


def _span(rows: pl.DataFrame) -> float | None:
    begin, end = rows["intended_at"].min(), rows["ended_at"].max()
    return float(end) - float(begin) if isinstance(begin, float) and isinstance(end, float) else None


def _sent(rows: pl.DataFrame) -> float | None:
    """Requests a second as they really left, over the time in which they were wanted."""
    left = rows["started_at"].drop_nulls().sort()
    if len(left) < 2 or left[-1] <= left[0]:
        return None
    return (len(left) - 1) / float(left[-1] - left[0])


def _only(column: pl.Series) -> float | None:
    known = column.unique()
    return known[0] if len(known) == 1 else None


def _over(amount: float | None, wall_s: float | None) -> float | None:
    return amount / wall_s if amount is not None and wall_s else None
