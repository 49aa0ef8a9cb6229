"""Slices: against scipy and published intervals, and no more than 5 % of fair systems called unfair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats.fairness import fisher, gap_limits, ratio_limits, slices, welch

some = st.lists(st.floats(-5, 5), min_size=2, max_size=20)


def rights(right, n):
    return np.array([1.0] * right + [0.0] * (n - right))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_fisher_is_scipys(right_1, right_2, more_1, more_2):
    table = [[right_1, more_1], [right_2, more_2]]
    found = fisher(right_1, right_1 + more_1, right_2, right_2 + more_2)
    assert found == pytest.approx(scipy.fisher_exact(table).pvalue, rel=1e-6)


def test_fishers_tea():
    """Three of four cups named right on each side: p = 34/70 (Fisher 1935)."""
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)


@given(some, some)
def test_welch_is_scipys(first, second):
    first, second = np.array(first), np.array(second)
    if np.ptp(first) > 1e-3 and np.ptp(second) > 1e-3:
        assert welch(first, second) == pytest.approx(scipy.ttest_ind(first, second, equal_var=False).pvalue, abs=1e-9)


def test_welch_without_spread_says_nothing():
    assert welch(np.ones(4), np.zeros(4)) is None
    assert welch(np.ones(1), np.arange(4.0)) is None


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_newcombes_differences(one, other, low, high):
    """Newcombe 1998, "Interval estimation for the difference between independent proportions", table II, method 10."""
    assert gap_limits(rights(*one), rights(*other)) == pytest.approx((low, high), abs=6e-5)


def test_ratio_holds_itself_and_nothing_where_the_other_may_be_zero():
    low, high = ratio_limits(rights(30, 100), rights(60, 100))
    assert low < 0.5 < high
    assert ratio_limits(rights(0, 50), rights(25, 50))[0] == 0.0
    assert ratio_limits(rights(5, 50), rights(0, 50)) == (None, None)
    assert ratio_limits(np.array([]), rights(5, 9)) == (None, None)


@pytest.mark.parametrize(("p", "n", "q", "m"), [(0.5, 60, 0.8, 60), (0.1, 40, 0.6, 80), (0.9, 30, 0.95, 200)])
def test_ratio_covers(p, n, q, m):
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        low, high = ratio_limits(rights(generator.binomial(n, p), n), rights(generator.binomial(m, q), m))
        hits += low <= p / q <= high
    assert hits >= scipy.binom.ppf(1e-4, 1000, 0.94)


def test_four_fifths_against_the_best():
    found = {
        line.name: line for line in slices({"de": rights(180, 200), "fr": rights(90, 200), "en": rights(170, 200)})
    }
    assert found["fr"].ratio == pytest.approx(0.5)
    assert found["fr"].adverse is True
    assert found["en"].adverse is False
    assert (found["de"].ratio, found["de"].adverse) == (1.0, None)
    assert not found["fr"].noise
    assert found["fr"].gap == pytest.approx(0.45 - 350 / 400)
    assert found["fr"].gap_low < found["fr"].gap < found["fr"].gap_high < 0


def test_few_samples_leave_the_line_open():
    found = slices({"a": rights(9, 10), "b": rights(6, 10)})[1]
    assert found.ratio == pytest.approx(2 / 3)
    assert (found.adverse, found.noise) == (None, True)


def test_lower_may_be_better():
    """Toxic answers: the good outcome is what is left."""
    found = slices({"a": rights(10, 100), "b": rights(55, 100)}, higher_is_better=False)
    assert found[1].ratio == pytest.approx(0.5)
    assert found[0].ratio == 1.0


def test_numbers_have_gaps_and_no_ratio():
    generator = np.random.default_rng(2)
    found = slices({"a": generator.normal(10, 1, 50), "b": generator.normal(12, 1, 50)})
    assert [line.ratio for line in found] == [None, None]
    assert not found[0].noise


def test_odd_slices():
    assert slices({}) == []
    alone = slices({"a": rights(3, 4)})[0]
    assert (alone.gap, alone.p_value, alone.noise, alone.ratio) == (None, None, True, 1.0)
    empty, one, rest = slices({"empty": np.array([]), "one": np.ones(1), "rest": rights(10, 20)})
    assert (empty.n, empty.mean, empty.ratio, empty.p_value) == (0, None, None, None)
    assert (one.n, one.noise) == (1, True)
    assert rest.n == 20
    assert [line.ratio for line in slices({"a": np.zeros(5), "b": np.zeros(5)})] == [None, None]


def test_fair_systems_are_seldom_called_unfair():
    """Eight slices of one quality; without Holm every third fair system would look unfair somewhere."""
    generator = np.random.default_rng(3)
    runs, alarms, naive = 250, 0, 0
    for _ in range(runs):
        found = slices({str(i): (generator.random(60) < 0.7).astype(float) for i in range(8)})
        alarms += any(not line.noise for line in found)
        naive += any(line.p_value < 0.05 for line in found)
    assert alarms <= scipy.binom.ppf(0.9999, runs, 0.05)
    assert naive > 0.12 * runs
