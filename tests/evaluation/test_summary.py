"""Summaries from a table of records: the sample is the unit, a missing score is counted and never 0."""

import polars as pl
import pytest

from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.schema import Decision


def table(rows, metric="exact_match"):
    """Rows of (target, sample, score or None), and optionally repeat, run and reference."""
    names = ("target", "sample_id", metric, "repeat", "run_id", "reference")
    full = [{**dict(zip(names[3:], (0, "j", "r"), strict=True)), **dict(zip(names, row, strict=False))} for row in rows]
    kinds = dict.fromkeys(names, pl.String) | {metric: pl.Float64, "repeat": pl.Int32}
    frame = pl.DataFrame(full, schema=kinds)
    status = pl.when(pl.col(metric).is_null()).then(pl.lit("timeout")).otherwise(pl.lit("ok"))
    return frame.with_columns(status.alias(f"{metric}_status"), pl.lit(None, pl.String).alias(f"{metric}_reason"))


def test_errors_are_counted_and_not_scored():
    rows = [("a", str(i), 1.0) for i in range(8)] + [("a", str(i), None) for i in range(8, 10)]
    (found,), verdicts = summarize(table(rows))
    assert (found.mean, found.n, found.n_error) == (1.0, 8, 2)
    assert found.ci_low < 0.7
    assert verdicts == []


def test_control_errors_as_zero_would_change_the_verdict():
    """b is right whenever it answers, as a is; it only answers less often. That is no worse score."""
    rows = [("a", str(i), 1.0) for i in range(30)] + [("b", str(i), 1.0 if i < 15 else None) for i in range(30)]
    honest = summarize(table(rows))[1][0]
    assert (honest.verdict, honest.n, honest.difference) == (Decision.UNDECIDED, 15, 0.0)
    sabotaged = table([(target, sample, score or 0.0) for target, sample, score in rows])
    assert summarize(sabotaged)[1][0].verdict == Decision.A_BETTER


def test_only_pairs_with_both_scores_count():
    rows = [("a", "1", 1.0), ("a", "2", 0.0), ("b", "2", 1.0), ("b", "3", 1.0)]
    summary, (verdict,) = summarize(table(rows))
    assert [line.n for line in summary] == [2, 2]
    assert (verdict.n, verdict.difference) == (1, 1.0)


def test_repeats_are_averaged_and_are_no_more_samples():
    """Ten samples asked 50 times: without averaging, 500 'pairs' would look certain."""
    rows = [("a", str(i), float(i % 2), r) for i in range(10) for r in range(50)]
    rows += [("b", str(i), float(i % 2 or i == 0), r) for i in range(10) for r in range(50)]
    summary, (verdict,) = summarize(table(rows))
    assert [(line.n, line.n_error) for line in summary] == [(10, 0), (10, 0)]
    assert verdict.verdict == Decision.UNDECIDED
    sabotaged = table([(target, f"{sample}-{repeat}", score) for target, sample, score, repeat in rows])
    assert summarize(sabotaged)[1][0].verdict == Decision.B_BETTER


def test_a_repeat_without_a_score_leaves_the_others():
    (found,), _ = summarize(table([("a", "1", 1.0, 0), ("a", "1", None, 1), ("a", "1", 0.0, 2)]))
    assert (found.mean, found.n, found.n_error) == (0.5, 1, 1)


def test_the_spread_of_repeats_is_pooled_over_samples():
    """Within-sample sums of squares 0.5 and 2/3 over 1 + 2 degrees of freedom; a sample asked once adds nothing."""
    rows = [("a", "1", score, r) for r, score in enumerate((0.0, 1.0))]
    rows += [("a", "2", score, r) for r, score in enumerate((0.0, 1.0, 1.0))]
    rows += [("a", "3", 1.0, 0), ("b", "1", 1.0, 0), ("b", "2", None, 0), ("b", "2", 1.0, 1)]
    (a, b), _ = summarize(table(rows))
    assert a.spread == pytest.approx(((0.5 + 2 / 3) / 3) ** 0.5)
    assert b.spread is None
    assert summarize(table([("a", str(i), float(i % 2)) for i in range(9)]))[0][0].spread is None


def test_equal_repeats_have_no_spread():
    (found,), _ = summarize(table([("a", str(i), float(i % 2), r) for i in range(5) for r in range(3)]))
    assert found.spread == 0.0


def test_targets_stay_in_the_order_named():
    rows = [(target, str(i), 1.0) for target in ("zebra", "ant", "mole") for i in range(3)]
    summary, verdicts = summarize(table(rows).lazy())
    assert [line.target for line in summary] == ["zebra", "ant", "mole"]
    assert [(v.a, v.b) for v in verdicts] == [("zebra", "ant"), ("zebra", "mole"), ("ant", "mole")]


def test_one_target_in_two_runs_is_two():
    rows = [("a", str(i), float(run == "new"), 0, run) for run in ("old", "new") for i in range(10)]
    rows += [("c", str(i), 1.0, 0, "new") for i in range(10)]
    summary, verdicts = summarize(table(rows))
    assert [line.target for line in summary] == ["a @ old", "a @ new", "c"]
    assert [line.mean for line in summary] == [0.0, 1.0, 1.0]
    assert verdicts[0].verdict == Decision.B_BETTER


def test_equal_ids_of_different_questions_are_no_pair():
    rows = [("a", str(i), 0.0, 0, "old", "cats") for i in range(10)]
    rows += [("b", str(i), 1.0, 0, "new", "dogs") for i in range(10)]
    (verdict,) = summarize(table(rows))[1]
    assert (verdict.n, verdict.verdict, verdict.difference) == (0, Decision.UNDECIDED, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_finite_number_is_no_score(value):
    (found,), _ = summarize(table([("a", "1", value), ("a", "2", 1.0)]))
    assert (found.mean, found.n, found.n_error) == (1.0, 1, 1)


def test_nobody_answered():
    summary, (verdict,) = summarize(table([("a", "1", None), ("b", "1", None)]))
    assert [(line.mean, line.ci_low, line.n, line.n_error) for line in summary] == [(None, None, 0, 1)] * 2
    assert (verdict.difference, verdict.ci_low, verdict.p_value, verdict.n) == (None, None, None, 0)


def test_a_metric_nobody_knows_is_summed_up_but_not_decided():
    rows = [("a", str(i), 0.0) for i in range(20)] + [("b", str(i), 1.0) for i in range(20)]
    summary, (verdict,) = summarize(table(rows, metric="from_elsewhere"))
    assert [line.mean for line in summary] == [0.0, 1.0]
    assert verdict.verdict == Decision.UNDECIDED


def test_no_metrics_no_rows():
    frame = pl.DataFrame({"target": ["a"], "sample_id": ["1"]})
    assert summarize(frame) == ([], [])
    assert summarize(table([])) == ([], [])
