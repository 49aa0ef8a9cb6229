"""Intervals against scipy, published examples, and their own promise: to cover the truth 95 times of 100."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats.intervals import binomial, fewest_for, is_binary, is_share, mean_limits, quantile_limits, wilson
from mlaas_lab.stats.student import t_cdf, t_quantile


class TestStudent:
    @pytest.mark.parametrize("df", [1, 2, 3.5, 10, 60, 1e4, 1e6])
    @pytest.mark.parametrize("p", [1e-6, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999])
    def test_quantile_is_scipys(self, p, df):
        assert t_quantile(p, df) == pytest.approx(scipy.t.ppf(p, df), rel=1e-8, abs=1e-12)

    @given(st.floats(-50, 50), st.floats(0.5, 1000))
    def test_cdf_is_scipys(self, t, df):
        assert t_cdf(t, df) == pytest.approx(scipy.t.cdf(t, df), rel=1e-7, abs=1e-12)

    @pytest.mark.parametrize(("p", "df"), [(0, 3), (1, 3), (-1, 3), (0.5, 0)])
    def test_nonsense_is_refused(self, p, df):
        with pytest.raises(ValueError, match="t_quantile"):
            t_quantile(p, df)


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_newcombes_examples(self, successes, n, low, high):
        """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
        assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)

    @given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_is_scipys_and_holds_the_share(self, counts):
        successes, n = counts
        low, high = wilson(successes, n)
        theirs = scipy.binomtest(successes, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert 0 <= low <= successes / n <= high <= 1
        assert high - low > 0

    @pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0)])
    def test_nonsense_is_refused(self, successes, n):
        with pytest.raises(ValueError, match="wilson"):
            wilson(successes, n)


class TestMean:
    def test_no_values_say_nothing(self):
        assert mean_limits(np.array([])) == (None, None)

    def test_counts_of_right_and_wrong_take_wilson(self):
        assert mean_limits(np.array([1.0, 0.0, 1.0, 1.0])) == wilson(3, 4)

    def test_other_numbers_take_students_t(self):
        values = np.array([12.0, 15.0, 9.0, 30.0, 11.0])
        theirs = scipy.ttest_1samp(values, 0).confidence_interval()
        assert mean_limits(values) == pytest.approx((theirs.low, theirs.high))

    @given(st.floats(0, 1), st.integers(1, 50))
    def test_equal_shares_are_no_certainty(self, value, n):
        low, high = mean_limits(np.full(n, value))
        assert high - low > 1 / (n + 10)
        assert 0 <= low <= value + 1e-12
        assert value - 1e-12 <= high <= 1

    def test_equal_numbers_without_bounds_say_nothing(self):
        assert mean_limits(np.full(30, 7.5)) == (None, None)
        assert mean_limits(np.array([7.5])) == (None, None)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
    def test_shares_stay_shares_and_hold_their_mean(self, values):
        values = np.array(values)
        low, high = mean_limits(values)
        assert 0 <= low <= values.mean() + 1e-12
        assert values.mean() - 1e-12 <= high <= 1

    @pytest.mark.parametrize("n", [12, 40, 200])
    def test_shares_are_covered(self, n):
        """Token-F1-like scores: many 1, many 0, some between."""
        generator = np.random.default_rng(n)
        population = np.concatenate([np.ones(55), np.zeros(25), generator.random(20)])
        assert _covered(population, n, mean_limits, generator) > 0.935

    def test_control_a_plain_t_interval_misses_rare_failures(self):
        generator = np.random.default_rng(5)
        population = np.concatenate([np.full(97, 0.99), np.zeros(3)])

        def plain(values):
            half = t_quantile(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
            return values.mean() - half, values.mean() + half

        assert _covered(population, 40, plain, generator) < 0.8
        assert _covered(population, 40, mean_limits, generator) > 0.93


class TestQuantile:
    def test_ranks_of_the_median(self):
        """Hollander & Wolfe, sign-test interval: for n = 25 the 95 % limits are the 8th and 18th value."""
        assert quantile_limits(np.arange(1, 26.0), 0.5) == (8, 18)

    def test_few_values_do_not_bound_the_tail(self):
        low, high = quantile_limits(np.arange(50.0), 0.99)
        assert low is not None
        assert high is None
        assert quantile_limits(np.array([1.0]), 0.5) == (None, None)
        assert quantile_limits(np.array([]), 0.5) == (None, None)

    @pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
    def test_covers(self, q):
        generator = np.random.default_rng(3)
        truth = scipy.expon.ppf(q)
        limits = [quantile_limits(generator.exponential(size=300), q) for _ in range(2000)]
        assert np.mean([low < truth < high for low, high in limits]) > 0.945

    @pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
    def test_fewest_values_that_bound_it(self, q, n):
        """The least n with q^n ≤ 2.5 %: so rarely do all values lie below the quantile."""
        assert fewest_for(q) == fewest_for(1 - q) == n
        assert None not in quantile_limits(np.arange(float(n)), q)
        assert None in quantile_limits(np.arange(float(n - 1)), q)

    @pytest.mark.parametrize("q", [0, 1, -0.1, 50])
    def test_nonsense_is_refused(self, q):
        with pytest.raises(ValueError, match="quantile"):
            quantile_limits(np.arange(5.0), q)
        with pytest.raises(ValueError, match="quantile"):
            fewest_for(q)


@given(st.integers(0, 400), st.floats(0.01, 0.99))
def test_binomial_is_scipys(n, p):
    assert binomial(n, p) == pytest.approx(scipy.binom.pmf(np.arange(n + 1), n, p), rel=1e-8, abs=1e-12)


def test_kinds_of_values():
    assert is_binary(np.array([0.0, 1.0]))
    assert not is_binary(np.array([0.0, 0.5]))
    assert is_share(np.array([0.0, 0.5]))
    assert not is_share(np.array([0.0, 1.01]))


def _covered(population, n, limits_of, generator, times=2000):
    truth, hits = population.mean(), 0
    for _ in range(times):
        low, high = limits_of(generator.choice(population, n))
        hits += low <= truth <= high
    return hits / times
