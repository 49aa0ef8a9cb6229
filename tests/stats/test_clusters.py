"""Groups against the textbook formula, single values, and simulation: covering 95 of 100 although samples are alike."""

import numpy as np
import pytest
from scipy import stats as scipy

from mlaas_lab.stats import clusters, intervals, paired


def in_groups(generator, sizes, between, within=1.0):
    groups = np.repeat(np.arange(len(sizes)), np.array(sizes, dtype=int))
    return generator.normal(0, between, len(sizes))[groups] + generator.normal(0, within, len(groups)), groups


class TestStandardError:
    def test_liang_and_zegers_where_groups_are_of_one_size(self):
        """√(G/(G-1) Σ_g (Σ residuals)²) / n: CR1, as Stata's and statsmodels' `cluster` for a mean."""
        values, groups = in_groups(np.random.default_rng(1), [6] * 15, 0.7)
        residuals = [np.sum(values[groups == g] - values.mean()) for g in range(15)]
        theirs = np.sqrt(15 / 14 * np.sum(np.square(residuals))) / len(values)
        assert clusters.standard_error(values, groups) == pytest.approx(theirs, rel=1e-12)

    def test_single_values_give_the_usual_one(self):
        values = np.random.default_rng(2).normal(size=30)
        assert clusters.standard_error(values, np.arange(30)) == pytest.approx(scipy.sem(values))

    def test_is_the_jackknife_over_groups(self):
        values, groups = in_groups(np.random.default_rng(3), [1, 9, 4, 30, 2, 7], 1.0)
        without = np.array([values[groups != g].mean() for g in range(6)])
        theirs = np.sqrt(5 / 6 * np.sum((without - values.mean()) ** 2))
        assert clusters.standard_error(values, groups) == pytest.approx(theirs)

    def test_one_group_says_nothing(self):
        assert clusters.standard_error(np.arange(5.0), np.zeros(5, dtype=np.int64)) is None


class TestMean:
    def test_single_values_give_students_interval(self):
        values = np.random.default_rng(4).normal(size=25)
        assert clusters.mean_limits(values, np.arange(25)) == pytest.approx(intervals.mean_limits(values))

    def test_groups_that_repeat_one_value_count_once(self):
        values = np.random.default_rng(5).normal(size=12)
        repeated = clusters.mean_limits(np.repeat(values, 20), np.repeat(np.arange(12), 20))
        assert repeated == pytest.approx(intervals.mean_limits(values))

    def test_repeated_shares_are_as_wide_as_the_groups_alone(self):
        low, high = clusters.mean_limits(np.ones(100), np.repeat(np.arange(5), 20))
        assert low < intervals.wilson(5, 5)[0] + 0.1, "100 right answers on 5 documents say what 5 do"
        assert high == 1

    @pytest.mark.parametrize("sizes", [[10], [50, 1], []])
    def test_fewer_than_two_groups_say_nothing(self, sizes):
        values, groups = in_groups(np.random.default_rng(6), sizes, 1.0)
        assert clusters.mean_limits(values, groups) == (None, None)

    def test_two_groups_are_wide(self):
        values, groups = in_groups(np.random.default_rng(7), [10, 10], 1.0)
        low, high = clusters.mean_limits(values, groups)
        between = abs(values[:10].mean() - values[10:].mean())
        assert high - low == pytest.approx(12.706 * between, rel=1e-4)

    def test_equal_numbers_say_nothing(self):
        assert clusters.mean_limits(np.full(20, 7.0), np.repeat(np.arange(5), 4)) == (None, None)

    @pytest.mark.parametrize("sizes", [[5] * 8, [5] * 40, [20, 20, *[3] * 15]])
    def test_covers_and_single_values_do_not(self, sizes):
        generator = np.random.default_rng(len(sizes))
        hits, blind = 0, 0
        for _ in range(1000):
            values, groups = in_groups(generator, sizes, 1.0)
            low, high = clusters.mean_limits(values, groups)
            hits += low <= 0 <= high
            low, high = intervals.mean_limits(values)
            blind += low <= 0 <= high
        assert hits >= scipy.binom.ppf(1e-4, 1000, 0.94)
        assert blind < 850, "control: groups that are not heeded"


class TestDifference:
    def test_near_the_bootstrap_of_pairs_where_each_is_a_group(self):
        differences = np.random.default_rng(8).choice([1.0, 0.0, -1.0], p=[0.3, 0.5, 0.2], size=300)
        alone = paired.difference_limits(differences, share=True)
        assert clusters.difference_limits(differences, np.arange(300), share=True) == pytest.approx(alone, abs=0.01)

    def test_near_students_with_many_groups(self):
        differences, groups = in_groups(np.random.default_rng(9), [4] * 300, 0.5)
        theirs = clusters.mean_limits(differences, groups)
        assert clusters.difference_limits(differences, groups, share=False) == pytest.approx(theirs, abs=0.01)

    def test_same_seed_same_interval(self):
        differences, groups = in_groups(np.random.default_rng(10), [3] * 12, 0.5)
        first, again, other = (clusters.difference_limits(differences, groups, share=False, seed=s) for s in (1, 1, 2))
        assert first == again != other

    @pytest.mark.parametrize("sizes", [[10] * 5, [], [500, *[1] * 20]])
    def test_few_groups_say_nothing(self, sizes):
        differences, groups = in_groups(np.random.default_rng(11), sizes, 0.5)
        assert clusters.difference_limits(differences, groups, share=True) == (None, None)

    def test_pairs_that_never_differ_leave_room(self):
        low, high = clusters.difference_limits(np.zeros(200), np.repeat(np.arange(10), 20), share=True)
        assert low < -0.05 < 0.05 < high
        assert clusters.difference_limits(np.zeros(200), np.repeat(np.arange(10), 20), share=False) == (None, None)

    @pytest.mark.parametrize("sizes", [[8] * 10, [3, 5, 9] * 10])
    def test_covers(self, sizes, monkeypatch):
        monkeypatch.setattr(clusters, "RESAMPLES", 600)
        generator = np.random.default_rng(12)
        hits = 0
        for i in range(500):
            differences, groups = in_groups(generator, sizes, 0.8)
            low, high = clusters.difference_limits(differences, groups, share=False, seed=i)
            hits += low <= 0 <= high
        assert hits >= scipy.binom.ppf(1e-4, 500, 0.93)


def test_contributions_average_to_the_mean():
    differences, groups = in_groups(np.random.default_rng(13), [1, 5, 2, 8], 1.0)
    found = clusters.contributions(differences, groups)
    assert len(found) == 4
    assert found.mean() == pytest.approx(differences.mean())


@pytest.mark.parametrize(
    ("sizes", "draws"),
    [
        ([5] * 30, True),  # questions on documents
        ([300] * 100, True),  # messages of customers
        ([10] * 10, True),
        ([80] * 3, False),  # channels
        ([200] * 8, False),  # languages
        ([1] * 50, False),
        ([], False),
    ],
)
def test_fixed_kinds_are_no_draws(sizes, draws):
    assert clusters.are_draws(np.repeat(np.arange(len(sizes)), np.array(sizes, dtype=int))) == draws
