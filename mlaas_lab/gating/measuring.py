"""What records say to a rule: a number with what stands behind it, or why there is none.

A rule that the records cannot decide has no number, and so it fails: a gate that passes by ignorance is no gate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from mlaas_lab import registry
from mlaas_lab.errors import did_you_mean
from mlaas_lab.evaluation.bills import Bill, Success, bills
from mlaas_lab.evaluation.summary import Summary, summarize
from mlaas_lab.evaluation.verdict import FEWEST_PAIRS
from mlaas_lab.gating.regions import AREAS
from mlaas_lab.gating.rules import PERCENTILES, Rule
from mlaas_lab.panels.latency import Latency, latencies
from mlaas_lab.records import METRIC_COLUMNS, metrics_of
from mlaas_lab.schema import Verdict
from mlaas_lab.view.formats import count, percent


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the records say to one rule."""

    value: float | None = None
    """What is compared, in the rule's unit; None when it cannot be known."""
    ok: bool | None = None
    """Set where no number is compared."""
    said: str = ""
    """The numbers, in words."""
    trouble: str = ""
    """Why the rule cannot be decided."""


class Undecidable(Exception):
    """The records cannot decide a rule; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The records of one target, and those of what it is measured against."""

    target: str
    whole: pl.DataFrame
    """The run, other targets too: what counts as a right answer is the same for all of them."""
    baseline: pl.DataFrame | None
    """Records of one target; None when nobody gave a baseline."""
    missing: str = ""
    """Why there is no baseline."""
    seed: int = 0
    grouped: bool | None = None
    """Whether samples of one group scatter together; None: as they look."""

    @cached_property
    def run(self) -> pl.DataFrame:
        """The target's records."""
        return self.whole.filter(self.whole["target"] == self.target)

    @cached_property
    def metrics(self) -> list[str]:
        """What it was scored by."""
        return metrics_of(self.run.columns)

    @cached_property
    def bill(self) -> Bill:
        """What it cost.

        Raises:
            Undecidable: if nobody wrote that down.
        """
        if "cost_usd" not in self.run.columns:
            raise Undecidable("these records have no cost_usd")
        return next(line for line in bills(self.whole) if line.target == self.target)

    @cached_property
    def latency(self) -> Latency:
        """How long it took.

        Raises:
            Undecidable: if nobody wrote that down.
        """
        if "latency_s" not in self.run.columns:
            raise Undecidable("these records have no latency_s")
        return latencies(self.run)[0]

    def summary(self, metric: str) -> Summary:
        """How it did by `metric`.

        Raises:
            Undecidable: if it was not scored by it, or on too few samples.
        """
        self.check(metric)
        summary, _ = summarize(_only(self.run, metric, "run"), seed=self.seed, grouped=self.grouped)
        (line,) = summary
        if line.n < FEWEST_PAIRS:
            raise Undecidable(f"{count(line.n)} samples have a score, and fewer than {FEWEST_PAIRS} cannot tell")
        return line

    def verdict(self, metric: str) -> Verdict:
        """The difference from the baseline, by the functions that make verdicts.

        Raises:
            Undecidable: if one of both was not scored by `metric`, or too few samples have a score from both.
        """
        self.check(metric)
        if self.baseline is None:
            raise Undecidable(self.missing)
        if metric not in metrics_of(self.baseline.columns):
            raise Undecidable(f"the baseline has no metric {metric!r}")
        both = [_only(self.baseline, metric, "baseline"), _only(self.run, metric, "run")]
        _, verdicts = summarize(pl.concat(both, how="diagonal_relaxed"), seed=self.seed, grouped=self.grouped)
        (found,) = verdicts
        if found.n < FEWEST_PAIRS:
            raise Undecidable(
                f"{count(found.n)} samples have a score from both, and fewer than {FEWEST_PAIRS} cannot tell"
            )
        return found

    def check(self, metric: str) -> None:
        """That it was scored by `metric`.

        Raises:
            Undecidable: if not, with the nearest metrics.
        """
        if metric not in self.metrics:
            near = did_you_mean(metric, self.metrics) or f"They have {', '.join(self.metrics) or 'none'}."
            raise Undecidable(f"these records have no metric {metric!r}. {near}".rstrip("."))


def measure(rule: Rule, sides: Sides) -> Found:
    """What `sides` say to `rule`."""
    try:
        return MEASURES[rule.quantity](rule, sides)
    except Undecidable as reason:
        return Found(trouble=str(reason))


def _mean(rule: Rule, sides: Sides) -> Found:
    line = sides.summary(rule.metric or "")
    value = {"mean": line.mean, "lower bound": line.ci_low, "upper bound": line.ci_high}[rule.quantity]
    missing = f", {count(line.n_error)} records without a score" if line.n_error else ""
    groups = f" in {count(line.n_groups)} groups" if line.n_groups else ""
    numbers = f"mean {_exact(line.mean)}, {_interval(line.ci_low, line.ci_high)}"
    said = f"{numbers}, {count(line.n)} samples{groups}{missing}"
    return Found(value=value, said=said, trouble="" if value is not None else "the scores cannot bound it")


def _difference(rule: Rule, sides: Sides) -> Found:
    found = sides.verdict(rule.metric or "")
    value = {"d": found.difference, "l": found.ci_low, "u": found.ci_high}[rule.quantity[0]]
    said = f"difference {_exact(found.difference)}, {_interval(found.ci_low, found.ci_high)}, {count(found.n)} pairs"
    said += ", by groups" if found.test.endswith("_groups") else ""
    why = found.reason or "so few pairs cannot bound it"
    return Found(value=value, said=said, trouble="" if value is not None else why)


def _percentile(rule: Rule, sides: Sides) -> Found:
    column, name = PERCENTILES[rule.quantity]
    line = sides.latency
    found, n = (line.latency_s, line.n) if column == "latency_s" else (line.ttft_s or {}, line.n_streamed)
    if name not in found:
        raise Undecidable("no answer was streamed" if column == "ttft_s" and line.n else "nothing was answered")
    one = found[name]
    said = f"{name} {_exact(one.value)} s, {_interval(one.ci_low, one.ci_high)}, {count(n)} answers"
    if one.ci_high is None:
        return Found(said=said, trouble=f"too few: {count(n)} answers cannot bound a {name} from above")
    return Found(value=one.value, said=said)


def _usd_per_1k(_rule: Rule, sides: Sides) -> Found:
    bill = sides.bill
    return _priced(bill, bill.usd_per_1000_answers, f"for 1,000 answers, {count(bill.n_answers)} answers")


def _usd_per_success(rule: Rule, sides: Sides) -> Found:
    bill = sides.bill
    success = _success(rule.metric, bill)
    what = f"for a right answer ({success.metric} {success.right_when}), {count(success.n)} right"
    if not success.n:
        raise Undecidable(f"no answer is right ({success.metric} {success.right_when})")
    return _priced(bill, success.usd, what)


def _success(metric: str | None, bill: Bill) -> Success:
    """By `metric`, or by the first one that is a share."""
    if not bill.successes:
        raise Undecidable("no metric here says which answers are right")
    if metric is None:
        return bill.successes[0]
    found = next((one for one in bill.successes if one.metric == metric), None)
    if found is None:
        raise Undecidable(f"{metric} does not say here which answers are right")
    return found


def _priced(bill: Bill, value: float | None, what: str) -> Found:
    if value is None:
        raise Undecidable("nothing here has a price" if bill.n_answers else "nothing was answered")
    if not bill.whole:
        said = f"at least ${_exact(value)} {what}"
        return Found(said=said, trouble=f"{count(bill.n_unknown)} of {count(bill.n_calls)} calls have an unknown cost")
    return Found(value=value, said=f"${_exact(value)} {what}")


def _unpriced(_rule: Rule, sides: Sides) -> Found:
    bill = sides.bill
    said = f"{count(bill.n_unknown)} of {count(bill.n_calls)} calls have an unknown cost"
    return Found(value=float(bill.n_unknown), said=said)


def _errors(_rule: Rule, sides: Sides) -> Found:
    failed, n = len(sides.run) - sides.run["error"].null_count(), len(sides.run)
    kinds = sides.run["error"].drop_nulls().unique().sort().to_list()
    named = f": {', '.join(kinds)}" if kinds else ""
    return Found(value=failed / n, said=f"{count(failed)} of {count(n)} calls ({percent(failed / n)}) failed{named}")


def _n(_rule: Rule, sides: Sides) -> Found:
    answered = sides.run.filter(pl.col("error").is_null())
    key = [name for name in ("sample_id", "reference") if name in answered.columns]
    n = answered.select(key).unique().height
    return Found(value=float(n), said=f"{count(n)} samples answered")


def _region(rule: Rule, sides: Sides) -> Found:
    if "region" not in sides.run.columns:
        raise Undecidable("these records have no region")
    wanted = frozenset().union(*(AREAS.get(place, frozenset({place})) for place in rule.places))
    columns = ["provider", "region"] if "provider" in sides.run.columns else ["region"]
    counts = sides.run.group_by(columns, maintain_order=True).len().to_dicts()
    said = ", ".join(f"{one['region'] or 'no region'}: {count(one['len'])} calls" for one in counts)
    unknown = [one for one in counts if one["region"] is None]
    if unknown:
        return Found(said=said, trouble=f"of {count(sum(one['len'] for one in unknown))} calls nobody knows where")
    strange = [one for one in counts if not _vouched(one.get("provider"), one["region"])]
    if strange:
        return Found(said=said, trouble=f"{strange[0]['region']} is none of {strange[0]['provider']}'s regions")
    return Found(ok=all(one["region"] in wanted for one in counts), said=said)


def _vouched(provider: str | None, region: str) -> bool:
    """Whether the vendor lists that region, if it lists any: another may use the same name for another place."""
    if provider is None or provider not in registry.names("provider"):
        return True
    listed = registry.load("provider", provider).regions
    return not listed or region in listed


MEASURES: Mapping[str, Callable[[Rule, Sides], Found]] = {
    **dict.fromkeys(("mean", "lower bound", "upper bound"), _mean),
    **dict.fromkeys(("difference", "lower bound of the difference", "upper bound of the difference"), _difference),
    **dict.fromkeys(PERCENTILES, _percentile),
    "usd_per_1k": _usd_per_1k,
    "usd_per_success": _usd_per_success,
    "unpriced": _unpriced,
    "errors": _errors,
    "n": _n,
    "region": _region,
}
"""Quantity → how it is found."""


def _only(records: pl.DataFrame, metric: str, name: str) -> pl.DataFrame:
    """`records` scored by `metric` alone, as a target called `name`."""
    others = [f"{one}{end}" for one in metrics_of(records.columns) if one != metric for end in METRIC_COLUMNS]
    return records.drop([*others, "run_id"], strict=False).with_columns(target=pl.lit(name))


def _exact(value: float | None) -> str:
    """Six digits: what is close to a limit must not look equal to it."""
    return "?" if value is None else f"{value:.6g}"


def _interval(low: float | None, high: float | None) -> str:
    return f"95 % interval {_exact(low)} to {_exact(high)}"
