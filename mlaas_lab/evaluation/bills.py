"""What everything cost that a target was asked, failed calls and retries too, and what that makes for a right answer.

It stands on records alone. A price nobody knows makes a sum a lower bound, never a lower sum: one unpriced call, one
retry that may have been billed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mlaas_lab import registry
from mlaas_lab.evaluation.sharing import lazily, shared
from mlaas_lab.evaluation.spendings import NOT_BILLED
from mlaas_lab.evaluation.tally import HALF, MICRO, pairs, tally
from mlaas_lab.records import metrics_of
from mlaas_lab.stats.ratios import ratio_limits_of


@dataclass(frozen=True, kw_only=True)
class Success:
    """What being right by one metric costs."""

    metric: str
    right_when: str
    """Which scores count, in words: `1`, `0` or `≥ 0.5`."""
    n: int
    """Right answers."""
    n_unscored: int
    """Answers without a score; none of them counts as right."""
    usd: float | None
    """For one right answer; a lower bound where the bill is; None without a price or without a right answer."""
    ci_low: float | None
    """Of a 95 % interval of `usd`; None where the calls cannot tell, or not all have a price."""
    ci_high: float | None

    @property
    def usd_per_1000(self) -> float | None:
        """For a thousand right answers."""
        return None if self.usd is None else 1000 * self.usd


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What everything cost that one target was asked."""

    target: str
    n_calls: int
    n_answers: int
    n_unknown: int
    """Calls of which nobody knows the whole cost: unpriced, or tried again after an attempt that may be billed."""
    usd: float | None
    """What is known; a lower bound if `n_unknown`. None when nothing is known."""
    usd_per_1000_answers: float | None
    """All calls' cost over the answers they gave; a lower bound like `usd`."""
    ci_low: float | None
    """Of a 95 % interval of it; None where the calls cannot tell, or not all have a price."""
    ci_high: float | None
    usd_per_million_tokens: float | None
    """Effective price: cost over tokens in and out of the calls that have both."""
    n_counted: int
    """Those calls."""
    judge_usd: float | None
    """What scoring cost, as far as it is known; None when nobody wrote it down."""
    n_judged_unknown: int
    """Scores of unknown cost."""
    successes: list[Success]

    @property
    def whole(self) -> bool:
        """Every call's cost is known."""
        return self.n_unknown == 0


@shared
def tallied(frame: pl.DataFrame | pl.LazyFrame) -> list[dict[str, Any]]:
    """What calls cost and gave, summed: a row per target, in their order."""
    records = lazily(frame)
    shares, judged = _counted(records)
    return tally(records, shares, judged, NOT_BILLED).to_dicts()


def _counted(records: pl.LazyFrame) -> tuple[dict[str, bool], list[str]]:
    """The metrics whose right answers count, and whether higher is better; those that say what scoring cost."""
    names = records.collect_schema().names()
    metrics = metrics_of(names)
    shares = {metric: higher for metric in metrics if (higher := _better_share(metric)) is not None}
    return shares, [metric for metric in metrics if f"{metric}_cost_usd" in names]


@shared
def bills(frame: pl.DataFrame | pl.LazyFrame) -> list[Bill]:
    """One bill per target, in their order."""
    (shares, judged), rows = _counted(lazily(frame)), tallied(frame)
    # What is right is the same for all targets.
    graded = {metric: any(row[f"graded_{metric}"] for row in rows) for metric in shares}
    return [_bill(row, shares, graded, judged) for row in rows]


def _bill(
    row: Mapping[str, Any], shares: Mapping[str, bool], graded: Mapping[str, bool], judged: Sequence[str]
) -> Bill:
    known = None if row["unknown"] and not row["priced"] else row["paid"] / MICRO
    whole = known is not None and not row["unknown"]
    low, high = ratio_limits_of(pairs(row, "answered")) if whole and row["answered"] else (None, None)
    return Bill(
        target=str(row["target"]),
        n_calls=row["calls"],
        n_answers=row["answered"],
        n_unknown=row["unknown"],
        usd=known,
        usd_per_1000_answers=1000 * known / row["answered"] if known is not None and row["answered"] else None,
        ci_low=None if low is None else 1000 * low,
        ci_high=None if high is None else 1000 * high,
        usd_per_million_tokens=row["spent"] / row["tokens"] if row["tokens"] else None,
        n_counted=row["counted"],
        judge_usd=_judge_usd(row, judged),
        n_judged_unknown=sum(row[f"unjudged_{metric}"] for metric in judged),
        successes=[
            _success(row, metric, known, higher=shares[metric], graded=graded[metric], whole=whole) for metric in shares
        ],
    )


def _judge_usd(row: Mapping[str, Any], judged: Sequence[str]) -> float | None:
    if not any(row[f"judged_{metric}"] for metric in judged):
        return None
    return float(sum(row[f"judge_{metric}"] for metric in judged) / MICRO)


def _better_share(metric: str) -> bool | None:
    """Whether higher is better, for a share of what is right; None for anything else."""
    name, _ = registry.parted(metric)
    if name not in registry.names("metric"):
        return None
    found = registry.load("metric", name)
    # Of two answers the better one may be wrong, and the other right.
    compares = found.judge is not None and found.judge.pairwise
    return bool(found.higher_is_better) if found.unit == "share" and not compares else None


def _success(
    row: Mapping[str, Any], metric: str, known: float | None, *, higher: bool, graded: bool, whole: bool
) -> Success:
    name = f"{'half' if graded else 'full'}_{metric}"
    n = row[name]
    low, high = ratio_limits_of(pairs(row, name)) if whole and n else (None, None)
    return Success(
        metric=metric,
        right_when=(f"≥ {HALF}" if higher else f"≤ {HALF}") if graded else ("1" if higher else "0"),
        n=n,
        n_unscored=row[f"unscored_{metric}"],
        usd=known / n if known is not None and n else None,
        ci_low=low,
        ci_high=high,
    )
