"""What everything cost that a target was asked, failed calls and retries too, and what that makes for a right answer.

It stands on records alone. A price nobody knows makes a sum a lower bound, never a lower sum: one unpriced call, one
retry that may have been billed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mlaas_lab import registry
from mlaas_lab.records import metrics_of
from mlaas_lab.stats.intervals import Floats
from mlaas_lab.stats.ratios import paired_ratio_limits

MICRO = 1_000_000
"""Micro-dollars in a dollar: sums of them are exact."""
COLUMNS = frozenset(
    {"target", "sample_id", "repeat", "error", "attempts", "timeline", "cost_usd", "input_tokens", "output_tokens"}
)
"""What is read besides scores."""
HALF = 0.5
"""From here on an answer counts as right by a metric that also gives values between 0 and 1."""
NOT_BILLED = ("rate_limited", "quota_exceeded", "auth_failed", "not_found", "cancelled", "cap_reached")
"""Refused before anything was processed: vendors' price pages say that 401, 404 and 429 are not charged."""
_ERROR = r'"error":\s*"'
_REFUSED = f'{_ERROR}(?:{"|".join(NOT_BILLED)})"'
_NEVER_SENT = rf'"connected_at":\s*null[^{{}}]*{_ERROR}(?:unreachable|timed_out)"'


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


def bills(frame: pl.DataFrame) -> list[Bill]:
    """One bill per target, in their order."""
    metrics = metrics_of(frame.columns)
    own = {f"{name}{ending}" for name in metrics for ending in ("", "_status", "_reason", "_cost_usd")}
    frame = frame.select([name for name in frame.columns if name in own or name in COLUMNS])
    graded = {name: _graded(frame, name) for name in metrics if _is_share(name)}
    return [_bill(str(key[0]), part, graded) for key, part in frame.group_by("target", maintain_order=True)]


def _bill(target: str, part: pl.DataFrame, graded: Mapping[str, bool]) -> Bill:
    paid, unknown = _paid(part)
    n_answers = part["error"].null_count()
    nothing = unknown.any() and np.isnan(_floats(part, "cost_usd")).all()
    known = None if nothing else _sum(paid)
    judge_usd, unjudged = _judged(part)
    per_million, n_counted = _effective(part, paid)
    return Bill(
        target=target,
        n_calls=len(part),
        n_answers=n_answers,
        n_unknown=int(unknown.sum()),
        usd=known,
        usd_per_1000_answers=1000 * known / n_answers if known is not None and n_answers else None,
        usd_per_million_tokens=per_million,
        n_counted=n_counted,
        judge_usd=judge_usd,
        n_judged_unknown=unjudged,
        successes=[
            _success(part, metric, paid if known is not None else None, graded=graded[metric], whole=not unknown.any())
            for metric in graded
        ],
    )


def _paid(part: pl.DataFrame) -> tuple[Floats, Any]:
    """What each call cost as far as it is known (n,), NaN for nothing; and whether more may have been billed (n,)."""
    paid = _floats(part, "cost_usd")
    answered = part["error"].is_null().to_numpy()
    asked = part["attempts"].fill_null(1).to_numpy() > 0 if "attempts" in part.columns else np.ones(len(part), bool)
    doubtful = np.where(asked, _doubtful(part), 0)
    # The price of a call without an answer is that of its last attempt.
    doubtful = doubtful - (_may_be_billed(part) & asked & ~np.isnan(paid))
    unknown = (doubtful > 0) | (answered & np.isnan(paid))
    free = np.isnan(paid) & ~unknown
    return np.where(free, 0.0, paid), unknown


def _doubtful(part: pl.DataFrame) -> Any:
    """Attempts of each call that failed and may be billed all the same (n,)."""
    failed = part["error"].is_not_null()
    attempts = (
        part["attempts"] if "attempts" in part.columns else pl.repeat(None, len(part), dtype=pl.Int32, eager=True)
    )
    if "timeline" not in part.columns:
        earlier = (attempts.fill_null(1) - 1).clip(lower_bound=0).to_numpy()
        return earlier + _may_be_billed(part)
    looked = failed | (attempts.fill_null(2) > 1)
    lines = part["timeline"].fill_null("").filter(looked).str
    counts = [lines.count_matches(pattern).cast(pl.Int64).to_numpy() for pattern in (_ERROR, _REFUSED, _NEVER_SENT)]
    found = np.zeros(len(part), int)
    found[looked.to_numpy()] = counts[0] - counts[1] - counts[2]
    return found


def _may_be_billed(part: pl.DataFrame) -> Any:
    """Whether each call (n,) ended with an error after which there may be a bill."""
    return part["error"].fill_null("").is_in(["", *NOT_BILLED]).not_().to_numpy()


def _is_share(metric: str) -> bool:
    name, _ = registry.parted(metric)
    return name in registry.names("metric") and registry.load("metric", name).unit == "share"


def _graded(frame: pl.DataFrame, metric: str) -> bool:
    """Whether it gives values between 0 and 1: what is right is the same for all targets."""
    scores = _scores(frame, metric)
    return bool(((scores > 0) & (scores < 1)).any())


def _scores(part: pl.DataFrame, metric: str) -> Floats:
    scored = pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric)).alias(metric)
    return _floats(part.select(scored), metric)


def _success(part: pl.DataFrame, metric: str, paid: Floats | None, *, graded: bool, whole: bool) -> Success:
    scores = _scores(part, metric)
    name, _ = registry.parted(metric)
    right, said = _right(scores, graded=graded, higher=registry.load("metric", name).higher_is_better)
    n, known = int(right.sum()), None if paid is None else _sum(paid)
    low, high = _limits(part, paid, right) if paid is not None and whole and n else (None, None)
    return Success(
        metric=metric,
        right_when=said,
        n=n,
        n_unscored=int((part["error"].is_null().to_numpy() & np.isnan(scores)).sum()),
        usd=known / n if known is not None and n else None,
        ci_low=low,
        ci_high=high,
    )


def _right(scores: Floats, *, graded: bool, higher: bool) -> tuple[Any, str]:
    """Whether each score (n,) counts as right, and which do, in words; a missing one never does."""
    if higher:
        return (scores >= HALF, f"≥ {HALF}") if graded else (scores == 1, "1")
    return (scores <= HALF, f"≤ {HALF}") if graded else (scores == 0, "0")


def _limits(part: pl.DataFrame, paid: Floats, right: Any) -> tuple[float | None, float | None]:
    """Of dollars over right answers; repeats of a sample are one."""
    if "repeat" in part.columns and part["repeat"].max() == 0:
        return paired_ratio_limits(np.nan_to_num(paid), right.astype(float))
    table = pl.DataFrame({"sample": part["sample_id"], "paid": np.nan_to_num(paid), "right": right.astype(float)})
    sums = table.group_by("sample", maintain_order=True).agg(pl.col("paid", "right").sum())
    return paired_ratio_limits(sums["paid"].to_numpy(), sums["right"].to_numpy())


def _effective(part: pl.DataFrame, paid: Floats) -> tuple[float | None, int]:
    """Dollars for a million tokens, and of how many calls: those with a price whose tokens were really counted."""
    tokens = _floats(part, "input_tokens") + _floats(part, "output_tokens")
    both = ~np.isnan(_floats(part, "cost_usd")) & ~np.isnan(tokens)
    total, spent = float(tokens[both].sum()), _sum(paid[both])
    return (MICRO * spent / total if spent is not None and total else None), int(both.sum())


def _judged(part: pl.DataFrame) -> tuple[float | None, int]:
    """What judges cost, as far as it is known, and how many of their scores have no price."""
    known, unknown = [], 0
    for metric in metrics_of(part.columns):
        if f"{metric}_cost_usd" not in part.columns:
            continue
        costs = _floats(part, f"{metric}_cost_usd")
        judged = (part["error"].is_null() & (part[f"{metric}_status"] != "not_applicable")).fill_null(False).to_numpy()
        unknown += int((judged & np.isnan(costs)).sum())
        known.append(costs)
    return (_sum(np.concatenate(known)) if known else None), unknown


def _floats(part: pl.DataFrame, column: str) -> Floats:
    """A column (n,), NaN where nothing is known."""
    if column not in part.columns:
        return np.full(len(part), math.nan)
    return part[column].cast(pl.Float64).fill_null(math.nan).to_numpy()


def _sum(paid: Floats) -> float | None:
    known = paid[~np.isnan(paid)]
    return int(np.round(known * MICRO).astype(np.int64).sum()) / MICRO if len(known) else None
