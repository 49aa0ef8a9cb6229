"""What a right answer costs: every bill is in it, and what nobody knows never makes it cheaper."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest
from made_records import frame_of, record

from mlaas_lab.evaluation import bills as module
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.panels import rate_limits
from mlaas_lab.schema import Attempt, Cost


def attempt(error=None, *, connected=True):
    return Attempt(started_at=1.0, connected_at=1.1 if connected else None, ended_at=2.0, error=error)


def call(target, i, *, right=True, usd="0.01", before=()):
    """An answer, after attempts that ended with the errors `before`."""
    made = record(target, i, "yes" if right else "no", "yes", usd=usd)
    attempts = (*(one if isinstance(one, Attempt) else attempt(one) for one in before), attempt())
    return replace(made, completion=replace(made.completion, attempts=attempts))


def lost(target, i, error, *, usd=None, tried=1):
    """A call without an answer."""
    cost = Cost(usd=None if usd is None else Decimal(usd), source="list", date="2026-01-02")
    return replace(record(target, i, "", "yes", error=error), attempts=(attempt(error),) * tried, cost=cost)


def bill(tmp_path, *several):
    (found,) = bills(frame_of(tmp_path / "r.parquet", several))
    return found


def test_the_cheaper_model_that_fails_more_is_dearer(tmp_path):
    several = [call("cheap", i, right=i < 20, usd="0.001") for i in range(100)]
    several += [call("good", i, right=i < 95, usd="0.003") for i in range(100)]
    cheap, good = bills(frame_of(tmp_path / "r.parquet", several))
    assert (cheap.usd_per_1000_answers, good.usd_per_1000_answers) == (1.0, 3.0)
    assert cheap.successes[0].usd == pytest.approx(0.1 / 20)
    assert good.successes[0].usd == pytest.approx(0.3 / 95)
    assert cheap.successes[0].ci_low > good.successes[0].ci_high
    assert cheap.successes[0].usd_per_1000 == pytest.approx(5.0)


def test_what_a_filter_withheld_is_priced_in(tmp_path):
    found = bill(tmp_path, *(call("a", i) for i in range(9)), lost("a", 9, "content_filtered", usd="0.02"))
    assert (found.usd, found.n_calls, found.n_answers, found.n_unknown) == (0.11, 10, 9, 0)
    assert found.successes[0].usd == pytest.approx(0.11 / 9)
    assert found.usd_per_1000_answers == pytest.approx(110 / 9)


@pytest.mark.parametrize("error", ["rate_limited", "quota_exceeded", "auth_failed", "not_found"])
def test_what_is_refused_before_it_is_processed_costs_nothing(tmp_path, error):
    found = bill(tmp_path, call("a", 0, before=(error,)), lost("a", 1, error, tried=3))
    assert (found.usd, found.n_unknown) == (0.01, 0)


@pytest.mark.parametrize(
    "error", ["timed_out", "overloaded", "truncated", "unreachable", "invalid_request", "provider_bug"]
)
def test_what_may_be_billed_makes_a_lower_bound(tmp_path, error):
    for n, several in enumerate(([call("a", 0, before=(error,))], [call("a", 0), lost("a", 1, error)])):
        found = bill(tmp_path, *several)
        assert (found.usd, found.n_unknown, found.whole) == (0.01, 1, False), n
        assert found.successes[0].ci_low is None


def test_control_an_error_taken_for_free_would_pass_unseen(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "NOT_BILLED", (*module.NOT_BILLED, "timed_out"))
    assert bill(tmp_path, call("a", 0, before=("timed_out",))).whole


def test_a_retry_before_a_billed_end_is_unknown_too(tmp_path):
    assert bill(tmp_path, lost("a", 0, "content_filtered", usd="0.02")).whole
    assert bill(tmp_path, lost("a", 0, "content_filtered", usd="0.02", tried=2)).n_unknown == 1


def test_what_never_left_costs_nothing(tmp_path):
    away = attempt("unreachable", connected=False)
    never = replace(record("a", 2, "", "yes", error="cancelled"), attempts=())
    found = bill(
        tmp_path, call("a", 0, before=(away, away)), replace(lost("a", 1, "unreachable"), attempts=(away,)), never
    )
    assert (found.usd, found.n_unknown) == (0.01, 0)


def test_one_unpriced_answer_makes_a_lower_bound(tmp_path):
    found = bill(tmp_path, *(call("a", i, usd=None if i == 3 else "0.01") for i in range(5)))
    assert (found.usd, found.n_unknown) == (0.04, 1)
    assert found.successes[0].usd == pytest.approx(0.008)


def test_unpriced_is_never_zero(tmp_path):
    found = bill(tmp_path, *(call("a", i, usd=None) for i in range(5)), lost("a", 9, "cancelled", tried=0))
    assert (found.usd, found.usd_per_1000_answers, found.usd_per_million_tokens) == (None, None, None)
    assert found.successes[0].usd is None


def test_tables_without_a_column_of_failures_say_the_same(tmp_path):
    """Older tables have timelines alone; put together with newer ones, some rows have both."""
    several = [call("a", 0, before=("rate_limited",)), call("a", 1, before=("timed_out", "overloaded")), call("a", 2)]
    away = replace(lost("a", 3, "unreachable"), attempts=(attempt("unreachable", connected=False),))
    frame = frame_of(tmp_path / "r.parquet", [*several, away, lost("a", 4, "timed_out", tried=2)])
    told = bills(frame), rate_limits.panel.build(frame)
    assert told[0][0].n_unknown == 2
    for n in range(4):
        older = frame.with_columns(failures=pl.when(pl.int_range(pl.len()) % 3 == n).then("failures"))
        assert (bills(older), rate_limits.panel.build(older)) == told
    assert (bills(frame.drop("failures")), rate_limits.panel.build(frame.drop("failures"))) == told


def test_control_without_its_failures_a_retry_would_look_free(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [call("a", 0, before=("timed_out",))])
    assert not bills(frame)[0].whole
    assert bills(frame.with_columns(failures=pl.lit("[]")))[0].whole


def test_without_a_timeline_every_retry_is_doubtful(tmp_path):
    frame = frame_of(
        tmp_path / "r.parquet", [call("a", 0, before=("rate_limited",)), call("a", 1), lost("a", 2, "timed_out")]
    )
    assert bills(frame.drop("timeline"))[0].n_unknown == 2
    assert bills(frame.drop("timeline", "attempts"))[0].n_unknown == 1
    assert bills(frame)[0].n_unknown == 1


def test_effective_price_stands_on_tokens_really_counted(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [call("a", i, usd="0.0015") for i in range(4)])
    (found,) = bills(frame)
    assert (found.usd_per_million_tokens, found.n_counted) == (pytest.approx(100.0), 4)
    fewer = frame.with_columns(input_tokens=pl.when(pl.int_range(pl.len()) > 0).then("input_tokens"))
    (found,) = bills(fewer)
    assert (found.usd_per_million_tokens, found.n_counted) == (pytest.approx(100.0), 3)


def test_judges_are_paid_apart(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [*(call("a", i) for i in range(3)), lost("a", 3, "rate_limited")])
    judged = frame.with_columns(exact_match_cost_usd=pl.Series([0.001, 0.002, None, None]))
    (found,) = bills(judged)
    assert (found.usd, found.judge_usd, found.n_judged_unknown) == (0.03, 0.003, 1)
    assert bills(frame)[0].judge_usd is None


def test_what_is_right_is_the_same_for_all_targets(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [call(t, i) for t in "ab" for i in range(4)])
    frame = frame.with_columns(
        token_f1=pl.Series([0.2, 0.5, 0.7, 1.0, 0.0, 1.0, 1.0, 1.0]),
        token_f1_status=pl.lit("ok"),
        token_f1_reason=pl.lit(None, pl.String),
    )
    a, b = (line.successes[1] for line in bills(frame))
    assert (a.right_when, a.n, b.right_when, b.n) == ("≥ 0.5", 3, "≥ 0.5", 3)


def test_unscored_answers_are_counted_and_not_right(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [call("a", i) for i in range(4)])
    frame = frame.with_columns(exact_match_status=pl.Series(["ok", "ok", "judge_error", "ok"]))
    success = bills(frame)[0].successes[0]
    assert (success.n, success.n_unscored) == (3, 1)


def test_repeats_are_no_more_samples(tmp_path):
    one = [call("a", i, right=i % 3 > 0, usd=f"0.0{i % 4 + 1}") for i in range(30)]
    twice = [replace(made, repeat=r) for made in one for r in range(2)]
    single, double = bill(tmp_path, *one).successes[0], bill(tmp_path, *twice).successes[0]
    assert (double.usd, double.ci_low, double.ci_high) == pytest.approx((single.usd, single.ci_low, single.ci_high))
