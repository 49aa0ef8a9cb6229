"""Verdicts: the right test, both shields, and `undecided` whenever that is the truth."""

import numpy as np
import pytest

from mlaas_lab.evaluation.verdict import Comparison, decide
from mlaas_lab.schema import Decision


def compared(a, b, *, better=True, metric="m", **names):
    scores = {"scores_a": np.array(a, dtype=float), "scores_b": np.array(b, dtype=float)}
    return Comparison(**{"a": "A", "b": "B", "metric": metric, "higher_is_better": better, **scores, **names})


def one(*args, margin=None, **more):
    return decide([compared(*args, **more)], margin=margin)[0]


def test_binary_scores_take_mcnemar():
    found = one([0] * 20 + [1] * 20, [1] * 19 + [0] + [1] * 20)
    assert (found.test, found.verdict, found.n) == ("mcnemar", Decision.B_BETTER, 40)
    assert found.difference == pytest.approx(19 / 40)
    assert found.p_value == pytest.approx(2 / 2**19)
    assert 0 < found.ci_low < found.difference < found.ci_high
    assert (found.more_samples, found.reason) == (None, None)


def test_other_scores_take_sign_flips():
    generator = np.random.default_rng(0)
    a = generator.random(50)
    found = one(a, np.clip(a - 0.2, 0, 1))
    assert (found.test, found.verdict) == ("sign_flip", Decision.A_BETTER)


def test_lower_may_be_better():
    assert one([9] * 12 + [8], [4] * 12 + [2], better=False).verdict == Decision.B_BETTER
    assert one([9] * 12 + [8], [4] * 12 + [2], better=True).verdict == Decision.A_BETTER


def test_unknown_direction_decides_nothing():
    found = one([0] * 30, [1] * 30, better=None)
    assert found.verdict == Decision.UNDECIDED
    assert "which way is better" in found.reason
    assert found.more_samples is None


@pytest.mark.parametrize(
    ("a", "b", "says", "more"),
    [
        ([], [], "no sample", False),
        ([0], [1], "1 pairs", True),
        ([0, 0, 0, 0, 0], [1, 1, 1, 1, 1], "5 pairs", True),
        ([0, 1] * 30, [0, 1] * 30, "no pair differs", False),
        ([0, 1] * 10, [1, 1] + [0, 1] * 9, "p = ", True),
    ],
)
def test_too_little_is_undecided_with_a_reason(a, b, says, more):
    found = one(a, b)
    assert found.verdict == Decision.UNDECIDED
    assert says in found.reason
    assert (found.more_samples is not None) == more
    assert found.test == ("mcnemar" if says == "p = " else "none")


def test_how_many_more_is_about_right():
    """30 % against 10 % of pairs: 77 in all (Connor), 20 are there."""
    found = one([0] * 6 + [1] * 2 + [1] * 12, [1] * 6 + [0] * 2 + [1] * 12)
    assert found.verdict == Decision.UNDECIDED
    assert found.more_samples == 57


def test_six_pairs_may_decide():
    assert one([0] * 6, [1] * 6).p_value == pytest.approx(0.03125)
    assert one([0] * 6, [1] * 6).verdict == Decision.B_BETTER


def test_equivalent_only_by_a_margin():
    same = [0, 1] * 200
    assert one(same, same).verdict == Decision.UNDECIDED
    assert one(same, same, margin=0.05).verdict == Decision.EQUIVALENT
    assert one(same[:10], same[:10], margin=0.05).verdict == Decision.UNDECIDED


def test_a_difference_below_the_margin_does_not_matter():
    a = np.linspace(0, 1, 500)
    b = np.clip(a + 0.01, 0, 1)
    assert one(a, b).verdict == Decision.B_BETTER
    assert one(a, b, margin=0.05).verdict == Decision.EQUIVALENT


def test_holm_counts_what_was_compared_together():
    alone = compared([0] * 9 + [1] * 2, [1] * 9 + [0] + [1])
    assert decide([alone])[0].verdict == Decision.B_BETTER
    noise = [compared([0, 1] * 10, [1, 0] * 10, metric=f"m{i}") for i in range(9)]
    among = decide([alone, *noise])[0]
    assert among.p_adjusted == pytest.approx(10 * among.p_value)
    assert among.verdict == Decision.UNDECIDED
    assert among.more_samples is not None


def test_what_cannot_be_tested_does_not_count_against_the_rest():
    good = compared([0] * 9 + [1] * 2, [1] * 9 + [0] + [1])
    empty = [compared([], [], metric=f"m{i}") for i in range(9)]
    found = decide([good, *empty])
    assert found[0].p_adjusted == found[0].p_value
    assert {verdict.p_adjusted for verdict in found[1:]} == {None}


def test_same_seed_same_verdict():
    generator = np.random.default_rng(0)
    pair = compared(generator.random(40), generator.random(40))
    assert decide([pair], seed=5) == decide([pair], seed=5)


def test_false_alarms_are_rare(monkeypatch):
    """Two equal systems, 400 evaluations of 50 samples with two metrics each."""
    monkeypatch.setattr("mlaas_lab.stats.paired.RESAMPLES", 500)
    generator = np.random.default_rng(3)
    alarms = 0
    for i in range(400):
        pairs = [compared(generator.random(50) < 0.6, generator.random(50) < 0.6, metric=m) for m in "xy"]
        alarms += any(found.verdict != Decision.UNDECIDED for found in decide(pairs, seed=i))
    assert alarms / 400 < 0.05
