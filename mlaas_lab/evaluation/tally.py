"""Sums of what calls cost and gave, a row per target, in one pass over records of any size.

Money is summed in whole micro-dollars, so sums are exact. It knows columns, and what a vendor does not bill; it says
nothing of what the sums mean.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import polars as pl

from mlaas_lab.evaluation.gridded import Gridded, gridded
from mlaas_lab.evaluation.layout import by_target, spans
from mlaas_lab.evaluation.sharing import shared
from mlaas_lab.stats.ratios import Pairs

MICRO = 1_000_000
"""Micro-dollars in a dollar: every call costs a whole number of them."""
TRIED = ("target", "provider", "region", "error", "attempts", "cost_usd", "cached_at")
TOKENS = ("input_tokens", "output_tokens")
READ = ("answered", "now", "unknown", "micro", *TOKENS)
CALLS = ("calls", "answered", "priced", "unknown", "paid", "counted", "tokens", "spent")
HALF = 0.5
"""From here on an answer counts as right by a metric that also gives values between 0 and 1."""


def tally(
    records: pl.LazyFrame, metrics: Mapping[str, bool], judged: Sequence[str], not_billed: Sequence[str]
) -> pl.DataFrame:
    """A row per target, targets in their order.

    Args:
        records: with `target`, `error` and `cost_usd` at least.
        metrics: those whose right answers are counted, and whether higher is better.
        judged: those that write down what scoring cost.
        not_billed: errors after which there is no bill.
    """
    columns = set(records.collect_schema().names())
    judging = [expr for metric in judged for expr in _judged(metric)]
    weighed = ["answered", *(f"{kind}_{metric}" for metric in metrics for kind in ("full", "half"))]
    across = gridded(records)
    once = across is not None or not _repeated(records, columns)
    products = [part for name in weighed for part in _products(name, once=once)]
    read = [*_read(columns, not_billed), *judging]
    if across is not None:
        found = _beside(records, across, metrics, read, products)
    else:
        answered = pl.col("error").is_null()
        scored = [e for name, higher in metrics.items() for e in _right(name, score_of(name), answered, higher=higher)]
        # Repeats are no more samples: what they cost and gave is added up before it is squared.
        unit = ["target"] if once else ["target", "sample_id"]
        calls = records.select(*unit, *read, *scored)
        names = [name for name in calls.collect_schema().names() if name not in (*unit, *READ)]
        rows = calls.select(*unit, *_calls(), *names)
        if not once:
            rows = rows.group_by(unit, maintain_order=True).agg(pl.all().cast(pl.Int64).sum())
        where = spans(records)
        found = by_target(rows, _sums([*CALLS, *names], products), where if once else None)
        found = found.join(by_target(calls, _prices(), where), on="target", nulls_equal=True, maintain_order="left")
    return _with_tried(found, records, columns, not_billed)


def _sums(names: Sequence[str], products: Sequence[pl.Expr]) -> list[pl.Expr]:
    sums = [pl.col(name).sum().cast(pl.Int64) for name in names]
    return [pl.len().alias("units"), *sums, *_spent(), *products]


def _beside(
    records: pl.LazyFrame,
    across: Gridded,
    metrics: Mapping[str, bool],
    read: Sequence[pl.Expr],
    products: Sequence[pl.Expr],
) -> pl.DataFrame:
    """The sums of a table whose targets stand beside each other: their scores are there already."""
    right = [
        expr
        for name, higher in metrics.items()
        for expr in _right(name, pl.col(f"score {name}"), pl.col("answered"), higher=higher)
    ]
    found = []
    for i, target in enumerate(across.grid.targets):
        part = records.slice(i * across.grid.n, across.grid.n).select(read).collect(engine="streaming")
        scores = {f"score {name}": pl.Series(across.scores[name][target]).fill_nan(None) for name in metrics}
        calls = part.lazy().with_columns(**scores).with_columns(right).drop(scores)
        names = [name for name in calls.collect_schema().names() if name not in READ]
        rows = calls.with_columns(_calls())
        sums = _sums([*CALLS, *names], products)
        found.append(
            pl.concat(
                [rows.select(pl.lit(target).alias("target"), *sums), calls.select(_prices())], how="horizontal"
            ).collect()
        )
    return pl.concat(found)


def _with_tried(
    found: pl.DataFrame, records: pl.LazyFrame, columns: AbstractSet[str], not_billed: Sequence[str]
) -> pl.DataFrame:
    """`found`, with the calls of unknown cost among those whose attempts had to be looked at."""
    if "timeline" not in columns:
        return found
    counted = tried(records).select("target", more=_unknown(columns, not_billed))
    by_target = dict(counted.group_by("target").agg(pl.col("more").cast(pl.Int64).sum()).iter_rows())
    more = pl.Series([by_target.get(target, 0) for target in found["target"]], dtype=pl.Int64)
    return found.with_columns(unknown=found["unknown"] + more)


def looked_at(columns: AbstractSet[str]) -> pl.Expr:
    """Whether a call's attempts say more than that it was answered at once: it failed, or was tried again."""
    attempts = pl.col("attempts") if "attempts" in columns else pl.lit(None, pl.Int32)
    return pl.col("error").is_not_null() | (attempts.fill_null(2) > 1)


@shared
def tried(records: pl.LazyFrame) -> pl.DataFrame:
    """The few calls whose attempts are looked at: `requests` on the wire, and `failures`, in which errors are counted.

    Timelines are half of a large file. So they are read only where a call does not say apart what failed, as in a table
    that was written before there was such a column.
    """
    columns = set(records.collect_schema().names())
    kept = [name for name in TRIED if name in columns]
    looked = records.filter(looked_at(columns))
    if {"failures", "attempts"} <= columns:
        told = looked.select(*kept, "failures", requests=pl.col("attempts").cast(pl.Int64)).collect(engine="streaming")
        if not told["failures"].has_nulls() and not told["requests"].has_nulls():
            return told
    begun = pl.col("timeline").fill_null("").str.count_matches(r'"started_at":').cast(pl.Int64)
    return looked.select(*kept, failures="timeline", requests=begun).collect(engine="streaming")


def _repeated(records: pl.LazyFrame, columns: AbstractSet[str]) -> bool:
    if "repeat" not in columns:
        return True
    return records.select(pl.col("repeat").max()).collect(engine="streaming").item() not in (0, None)


def _spent() -> list[pl.Expr]:
    paid = pl.col("paid")
    square = paid.cast(pl.Float64).pow(2).sum().alias("paid_square")
    return [square, paid.min().alias("paid_low"), paid.max().alias("paid_high")]


def _products(name: str, *, once: bool) -> list[pl.Expr]:
    """What the limits of dollars over the count `name` stand on; where a row counts 0 or 1, its sum says most of it."""
    if once:
        return [pl.when(name).then("paid").otherwise(0).sum().alias(f"{name}_paid")]
    value = pl.col(name)
    return [
        (value * pl.col("paid")).sum().alias(f"{name}_paid"),
        (value * value).sum().alias(f"{name}_square"),
        value.min().alias(f"{name}_low"),
        value.max().alias(f"{name}_high"),
    ]


def pairs(row: Mapping[str, Any], name: str) -> Pairs:
    """Dollars over the count `name`, from a row of a tally."""
    n = row[name]
    low, high = row.get(f"{name}_low", int(n == row["units"])), row.get(f"{name}_high", int(n > 0))
    spread = not (row["paid_low"] == row["paid_high"] and low == high)
    return Pairs(
        n=int(row["units"]),
        above=row["paid"] / MICRO,
        below=n,
        above_square=row["paid_square"] / MICRO**2,
        below_square=row.get(f"{name}_square", n),
        product=row[f"{name}_paid"] / MICRO,
        spread=spread,
    )


def _read(columns: AbstractSet[str], not_billed: Sequence[str]) -> list[pl.Expr]:
    """`READ` of each call: answered or not, now or earlier, whether it may have cost more, micro-dollars, tokens."""
    cost = pl.col("cost_usd").cast(pl.Float64).fill_nan(None)
    answered = pl.col("error").is_null()
    unknown = _unknown(columns, not_billed)
    if "timeline" in columns:
        # The others are counted apart.
        unknown = ~looked_at(columns) & answered & cost.is_null()
    now = pl.col("cached_at").is_null() if "cached_at" in columns else pl.lit(value=True)
    tokens = (pl.col(name).cast(pl.Int64) if name in columns else pl.lit(None, pl.Int64).alias(name) for name in TOKENS)
    return [
        answered.alias("answered"),
        now.alias("now"),
        unknown.alias("unknown"),
        _micro(cost).alias("micro"),
        *tokens,
    ]


def _calls() -> list[pl.Expr]:
    """`CALLS` of each call, of what was read."""
    priced, tokens = pl.col("micro").is_not_null(), pl.sum_horizontal(TOKENS, ignore_nulls=False)
    counted = priced & tokens.is_not_null()
    return [
        pl.lit(1, pl.Int64).alias("calls"),
        pl.col("answered"),
        priced.alias("priced"),
        pl.col("unknown"),
        pl.col("micro").fill_null(0).alias("paid"),
        counted.alias("counted"),
        pl.when(counted).then(tokens).otherwise(0).alias("tokens"),
        pl.when(counted).then("micro").otherwise(0).alias("spent"),
    ]


def _prices() -> list[pl.Expr]:
    """What the answers of a target cost; those from the cache were paid for earlier."""
    answered, now = pl.col("answered"), pl.col("answered") & pl.col("now")
    paid, new = pl.when(answered).then("micro"), pl.when(now).then("micro")
    tokens = {name: pl.when(answered).then(name) for name in TOKENS}
    return [
        now.sum().alias("n_now"),
        new.count().alias("n_paid"),
        new.sum().alias("new"),
        paid.count().alias("n_priced"),
        paid.sum().alias("answers_paid"),
        paid.std().alias("scatter"),
        *(value.sum().alias(name) for name, value in tokens.items()),
        *(value.count().alias(f"{name}_known") for name, value in tokens.items()),
    ]


def _unknown(columns: AbstractSet[str], not_billed: Sequence[str]) -> pl.Expr:
    """Whether nobody knows the whole cost of a call."""
    cost = pl.col("cost_usd").cast(pl.Float64).fill_nan(None)
    asked = pl.col("attempts").fill_null(1) > 0 if "attempts" in columns else pl.lit(value=True)
    ended_billed = pl.col("error").fill_null("").is_in(["", *not_billed]).not_()
    doubtful = pl.when(asked).then(_doubtful(columns, ended_billed, not_billed)).otherwise(0)
    # The price of a call without an answer is that of its last attempt.
    doubtful = doubtful - (ended_billed & asked & cost.is_not_null()).cast(pl.Int64)
    return (doubtful > 0) | (pl.col("error").is_null() & cost.is_null())


def _doubtful(columns: AbstractSet[str], ended_billed: pl.Expr, not_billed: Sequence[str]) -> pl.Expr:
    """Attempts of each call that failed and may be billed all the same."""
    if "timeline" not in columns:
        attempts = pl.col("attempts") if "attempts" in columns else pl.lit(None, pl.Int32)
        return (attempts.fill_null(1) - 1).clip(lower_bound=0) + ended_billed.cast(pl.Int64)
    error = r'"error":\s*"'
    refused = f'{error}(?:{"|".join(not_billed)})"'
    never_sent = rf'"connected_at":\s*null[^{{}}]*{error}(?:unreachable|timed_out)"'
    lines = pl.col("failures").fill_null("").str
    counts = [lines.count_matches(pattern).cast(pl.Int64) for pattern in (error, refused, never_sent)]
    return counts[0] - counts[1] - counts[2]


def _right(metric: str, score: pl.Expr, answered: pl.Expr, *, higher: bool) -> list[pl.Expr]:
    """Right answers if only full marks count, or if half of them do; answers between the two, and without a score."""
    full, half = (score == 1, score >= HALF) if higher else (score == 0, score <= HALF)
    return [
        full.fill_null(value=False).alias(f"full_{metric}"),
        half.fill_null(value=False).alias(f"half_{metric}"),
        ((score > 0) & (score < 1)).fill_null(value=False).alias(f"graded_{metric}"),
        (answered & score.is_null()).alias(f"unscored_{metric}"),
    ]


def _judged(metric: str) -> list[pl.Expr]:
    cost = pl.col(f"{metric}_cost_usd").cast(pl.Float64).fill_nan(None)
    asked = pl.col("error").is_null() & (pl.col(f"{metric}_status") != "not_applicable").fill_null(value=False)
    return [
        (asked & cost.is_null()).alias(f"unjudged_{metric}"),
        cost.is_not_null().alias(f"judged_{metric}"),
        _micro(cost).fill_null(0).alias(f"judge_{metric}"),
    ]


def score_of(metric: str) -> pl.Expr:
    """The score where there is one; not a number is none."""
    return pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric).cast(pl.Float64).fill_nan(None))


def _micro(cost: pl.Expr) -> pl.Expr:
    return (cost * MICRO).round().cast(pl.Int64)
