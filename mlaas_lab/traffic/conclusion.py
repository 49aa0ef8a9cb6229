"""What a load test found, as its result and in sentences: figures of all, by target, by rate, and what to doubt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from mlaas_lab.schema import JSON, Record
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.figures import QUANTILES, Figures, Share, Times, figures
from mlaas_lab.traffic.knee import Knee, curve, knee, objective, telling
from mlaas_lab.traffic.plan import Step
from mlaas_lab.view.formats import count, percent, seconds, usd

FULL = 0.9
"""Share of one core from which on our own thread has no room left."""
LATE_S, LATE_SHARE = 0.02, 0.1
"""Requests leave late if the 99th percentile of their delay is above both: so many seconds, such a share of the median
latency."""
SILENT = 5
"""Requests that failed one after the other at the end: whom they went to is gone."""
OFF = 0.1
"""Prompts are as long as was asked for within this share."""


@dataclass(kw_only=True)
class Spent:
    """What a load test took besides what its records say."""

    n_warm_up: int = 0
    warm_up_s: float = 0.0
    steps: list[tuple[Step, float]] = field(default_factory=list)
    """Each load, and the share of one core that our thread used meanwhile."""
    capped: bool = False
    server: Mapping[str, Any] | None = None
    """What the servers said of themselves meanwhile; None where none said anything."""

    def warm_up(self, _record: Record) -> None:
        """A request that is not counted."""
        self.n_warm_up += 1

    def step(self, step: Step, *, cpu_share: float) -> None:
        """A load is over."""
        self.steps.append((step, cpu_share))
        self.warm_up_s = step.warm_up_s

    @property
    def cpu_share(self) -> float:
        """The highest of all loads."""
        return max((cpu for _, cpu in self.steps), default=0.0)

    @property
    def client_is_full(self) -> bool:
        """Our own thread had no room left."""
        return self.cpu_share >= FULL


def concluded(spec: Load, records: pl.DataFrame, spent: Spent) -> tuple[dict[str, Any], list[str]]:
    """The result, and what a user should know of it."""
    slo = objective(records, spec.slo) if spec.sweep else dict(spec.slo)
    steps = curve(records, slo) if spec.sweep else []
    found = knee(steps)
    at = telling(records, found)
    whole = figures(at, slo)
    names = at["target"].unique(maintain_order=True).to_list()
    several = {name: figures(at.filter(pl.col("target") == name), slo) for name in names}
    known = {
        "slo": slo,
        **as_json(whole),
        "client": {"cpu_share": spent.cpu_share, "late_p99_s": whole.late_p99_s, "saturated": saturated(whole, spent)},
        "warm_up": {"s": spent.warm_up_s, "n": spent.n_warm_up},
        "by_target": [{"target": name, **as_json(one)} for name, one in several.items()] if len(several) > 1 else [],
        "steps": [as_json(step) for step in steps],
        "server": spent.server,
        "knee": None if found is None else asdict(found),
    }
    return known, [*_gone(records), *notes(spec, whole, spent, found, slo), *_of_prompts(spec, records)]


def as_json(found: Figures) -> dict[str, JSON]:
    """`{n, errors, ttft_s: {p50, p95, p99, …}, latency_s, throughput, …}`."""
    return {
        "offered_per_s": found.offered_per_s,
        "sent_per_s": found.sent_per_s,
        "n": found.n,
        "errors": found.failed.n,
        "error_rate": _share(found.failed),
        "rate_limited": _share(found.limited),
        "by_error": dict(found.by_error),
        **{name: _times(getattr(found, name)) for name in ("ttft_s", "itl_s", "tpot_s", "latency_s")},
        "throughput": {
            name: getattr(found, name) for name in ("requests_per_s", "input_tokens_per_s", "output_tokens_per_s")
        },
        "goodput": None if found.good is None else {"per_s": found.good_per_s, **_share(found.good)},
        "late_p50_s": found.late_p50_s,
        "late_p99_s": found.late_p99_s,
        "cost_usd": found.cost_usd,
    }


def saturated(found: Figures, spent: Spent) -> bool:
    """Whether we ourselves were too slow for what was asked of us."""
    late, usual = found.late_p99_s, found.latency_s.p50
    return spent.client_is_full or (late is not None and late > max(LATE_S, LATE_SHARE * (usual or 0.0)))


def notes(spec: Load, whole: Figures, spent: Spent, found: Knee | None, slo: Mapping[str, float]) -> Iterator[str]:
    """What a user should know of the figures."""
    if saturated(whole, spent):
        who = "This client was at its own limit" if spent.client_is_full else "This machine was busy with other things"
        yield (
            f"{who}: {percent(spent.cpu_share)} of one core, requests left up to {seconds(whole.late_p99_s)} late "
            "(p99), which every time includes. Lower the rate, or load from another machine."
        )
    if spent.n_warm_up:
        each = " of each rate" if len(spent.steps) > 1 else ""
        yield f"Warm-up: the first {spent.warm_up_s:.3g} s{each}, {count(spent.n_warm_up)} requests, are not counted."
    if spec.concurrency is not None:
        yield "Closed loop: requests wait for answers, so a target that stands still is asked less; see --rate."
    if spent.capped and spec.max_usd is not None:
        yield f"stopped at the cap: another request might have passed {usd(spec.max_usd)}."
    for error, n in whole.by_error.items():
        yield f"{count(n)} of {count(whole.n)} requests failed: {error}."
    if few := [name for name in QUANTILES if whole.latency_s.n and getattr(whole.latency_s, name) is None]:
        yield f"{count(whole.latency_s.n)} answers cannot bound {' and '.join(few)}."
    yield from _of_knee(spec, spent, found, slo)


def _gone(records: pl.DataFrame) -> Iterator[str]:
    """Who answered at first, and then no more."""
    asked = records.filter(~pl.col("error").is_in(["cancelled", "cap_reached"]).fill_null(value=False))
    for (name,), of in asked.sort("intended_at").group_by("target", maintain_order=True):
        answered = of["error"].is_null().arg_true()
        if len(answered) and (n := of.height - 1 - answered[-1]) >= SILENT:
            into_s = of["intended_at"][answered[-1] + 1] - of["intended_at"][0]
            yield f"{name} stopped answering {seconds(into_s)} into the load: its last {count(n)} requests failed."


def _of_knee(spec: Load, spent: Spent, found: Knee | None, slo: Mapping[str, float]) -> Iterator[str]:
    if not spec.sweep:
        return
    if not spec.slo and slo:
        yield (
            f"Without --slo an answer was good within {seconds(slo['latency_s'])}: "
            "three times the 90th percentile of the lightest rate."
        )
    if found is not None:
        yield said(found)
    if found is None or found.high is None:
        ours = ", where this client is at its end" if spent.client_is_full else ""
        yield f"No rate surely broke{ours}: the knee may lie higher."


def said(found: Knee) -> str:
    """The knee in a sentence."""
    if found.rate is None:
        return "Even the lightest rate was too much."
    low = "nothing surely" if found.low is None else f"{found.low:.4g}/s"
    high = "" if found.high is None else f" to {found.high:.4g}/s"
    between = f"{low}{high}" if high else f"above {low}"
    return f"Knee: {found.rate:.4g} requests a second ({between}), the highest at which 95 % of requests were good."


def _of_prompts(spec: Load, records: pl.DataFrame) -> Iterator[str]:
    """Where the target counts other lengths than were asked for."""
    if spec.replay is not None or records.is_empty():
        return
    counted, written = records["input_tokens"].mean(), records["output_tokens"].mean()
    if spec.data is None and isinstance(counted, float) and abs(counted / spec.input_tokens - 1) > OFF:
        yield f"The target counts {counted:.0f} input tokens a prompt where {spec.input_tokens} were asked for."
    if isinstance(written, float) and written < (1 - OFF) * spec.output_tokens:
        more = "" if spec.ignore_eos else " --ignore-eos has vLLM go on."
        yield f"Answers have {written:.3g} tokens, where up to {spec.output_tokens} were asked for.{more}"


def _share(found: Share) -> dict[str, JSON]:
    return asdict(found)


def _times(found: Times | None) -> dict[str, JSON] | None:
    if found is None:
        return None
    limits: Mapping[str, Sequence[float | None]] = found.intervals
    plain = {name: getattr(found, name) for name in QUANTILES}
    return {**plain, "n": found.n, "intervals": {name: list(limit) for name, limit in limits.items()}}
