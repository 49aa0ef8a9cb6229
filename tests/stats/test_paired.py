"""Paired tests against scipy, hand-computed examples, and simulations: no more than 5 % false alarms, and real power."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats import paired
from mlaas_lab.stats.paired import difference_limits, holm, mcnemar, pairs_needed, sign_flip

small = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=9).map(np.array)


class TestMcnemar:
    @pytest.mark.parametrize(
        ("only_a", "only_b", "p"),
        [(0, 5, 0.0625), (0, 6, 0.03125), (1, 9, 22 / 1024), (5, 5, 1.0), (0, 0, 1.0), (10, 20, 0.09873715)],
    )
    def test_by_hand(self, only_a, only_b, p):
        assert mcnemar(only_a, only_b) == pytest.approx(p, rel=1e-6)

    def test_agrestis_approval_ratings(self):
        """Agresti, Categorical Data Analysis, table 11.1: 150 and 86 changed their mind, z² = 17.36."""
        assert mcnemar(86, 150) == pytest.approx(3.7e-5, rel=0.02)

    @given(st.integers(0, 300), st.integers(0, 300))
    def test_is_scipys_binomial_test(self, only_a, only_b):
        if only_a + only_b:
            assert mcnemar(only_a, only_b) == pytest.approx(scipy.binomtest(only_a, only_a + only_b).pvalue, rel=1e-8)
        assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)

    def test_large_counts_stay_exact(self):
        assert mcnemar(24_000, 26_000) == pytest.approx(scipy.binomtest(24_000, 50_000).pvalue, rel=1e-6)


class TestSignFlip:
    @given(small)
    def test_small_samples_try_every_pattern(self, differences):
        sums = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=len(differences))]
        expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
        assert sign_flip(differences) == pytest.approx(expected)

    def test_is_scipys_permutation_test(self):
        differences = np.random.default_rng(1).normal(0.3, 1, 12)
        theirs = scipy.permutation_test(
            (differences,), lambda x, axis: x.sum(axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert sign_flip(differences) == pytest.approx(theirs.pvalue)

    @pytest.mark.parametrize("kinds", [3, 0])
    def test_drawn_patterns_agree_with_the_normal_limit(self, kinds):
        generator = np.random.default_rng(2)
        differences = generator.normal(0.06, 1, 900)
        differences = np.round(differences) if kinds else differences
        continuity = 1 if kinds else 0  # whole numbers: sums come in steps of 2
        z = (abs(differences.sum()) - continuity) / np.sqrt((differences**2).sum())
        assert sign_flip(differences, seed=4) == pytest.approx(2 * scipy.norm.sf(z), abs=0.012)

    def test_same_seed_same_p_and_never_zero(self):
        differences = np.random.default_rng(0).normal(1, 0.1, 300)
        assert sign_flip(differences, seed=1) == sign_flip(differences, seed=1) == 1 / (paired.RESAMPLES + 1)

    @given(small, st.floats(0.1, 100))
    def test_scale_and_sign_do_not_matter(self, differences, scale):
        assert sign_flip(-scale * differences) == pytest.approx(sign_flip(differences))

    def test_binary_differences_give_mcnemar(self):
        differences = np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 40)
        assert sign_flip(differences) == pytest.approx(mcnemar(3, 9))


class TestHolm:
    def test_by_hand(self):
        """0.005 × 4, 0.01 × 3, 0.03 × 2, and 0.04 × 1, which may not fall below the one before it."""
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_one_and_none(self):
        assert holm([0.2]) == [0.2]
        assert holm([]) == []

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_between_the_raw_and_bonferroni(self, p_values):
        adjusted = holm(p_values)
        for raw, after in zip(p_values, adjusted, strict=True):
            assert raw <= after <= min(1, raw * len(p_values)) + 1e-12
        order = np.argsort(p_values, kind="stable")
        assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


class TestDifference:
    def test_same_seed_same_interval(self):
        differences = np.random.default_rng(0).normal(size=50)
        assert difference_limits(differences, share=False, seed=3) == difference_limits(
            differences, share=False, seed=3
        )
        assert difference_limits(differences, share=False, seed=3) != difference_limits(
            differences, share=False, seed=4
        )

    def test_near_students_where_that_is_right(self):
        differences = np.random.default_rng(0).normal(0.2, 1, 400)
        theirs = scipy.ttest_1samp(differences, 0).confidence_interval()
        assert difference_limits(differences, share=False) == pytest.approx((theirs.low, theirs.high), abs=0.01)

    def test_pairs_that_never_differ_leave_room(self):
        low, high = difference_limits(np.zeros(20), share=True)
        assert low < 0 < high
        assert high == pytest.approx(-low, abs=0.06)
        narrow = difference_limits(np.zeros(2000), share=True)
        assert narrow[1] < 0.003

    def test_nothing_known_is_none(self):
        assert difference_limits(np.array([]), share=True) == (None, None)
        assert difference_limits(np.array([1.0]), share=True) == (None, None)
        assert difference_limits(np.full(9, 3.0), share=False) == (None, None)

    @pytest.mark.parametrize("n", [15, 60])
    def test_covers(self, n, monkeypatch):
        """Binary scores: a right in 50 %, b in 70 %, 40 % of pairs differ."""
        monkeypatch.setattr(paired, "RESAMPLES", 1000)
        generator = np.random.default_rng(n)
        draws = generator.choice([1.0, 0.0, -1.0], p=[0.3, 0.6, 0.1], size=(1000, n))
        limits = [difference_limits(row, share=True, seed=i) for i, row in enumerate(draws)]
        assert np.mean([low <= 0.2 <= high for low, high in limits]) > 0.93


class TestSize:
    """False alarms under no difference, and what a wrong test would do."""

    def test_mcnemar_and_sign_flip_stay_below_five_percent(self):
        generator = np.random.default_rng(7)
        alarms = {"mcnemar": 0, "sign_flip": 0}
        for i in range(2000):
            a, b = _two_alike(generator, 60)
            alarms["mcnemar"] += mcnemar(int((a > b).sum()), int((b > a).sum())) < 0.05
            if i < 400:
                noisy = generator.normal(size=60)
                alarms["sign_flip"] += sign_flip(noisy, seed=i, draws=999) < 0.05
        assert alarms["mcnemar"] / 2000 < 0.05
        assert alarms["sign_flip"] / 400 < 0.08

    def test_control_intervals_that_ignore_the_pairs_miss_a_real_difference(self):
        """Hard and easy samples: b is better on each by a little. Unpaired nobody sees it, paired everybody does."""
        generator = np.random.default_rng(8)
        a = generator.random(80)
        b = np.clip(a + 0.03 + generator.normal(0, 0.02, 80), 0, 1)
        assert scipy.ttest_ind(a, b).pvalue > 0.2
        assert sign_flip(b - a) < 0.001
        assert difference_limits(b - a, share=True)[0] > 0

    def test_control_many_looks_without_holm_raise_alarms(self):
        generator = np.random.default_rng(9)
        raw = corrected = 0
        for _ in range(300):
            p_values = [mcnemar(*generator.multinomial(40, [0.5, 0.5])) for _ in range(10)]
            raw += min(p_values) < 0.05
            corrected += min(holm(p_values)) < 0.05
        assert raw / 300 > 0.2
        assert corrected / 300 < 0.05


class TestPairsNeeded:
    def test_connors_formula(self):
        """30 % and 10 % of pairs differ each way: (1.96 √0.4 + 0.8416 √0.36)² / 0.2² = 76.1 pairs."""
        differences = np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 60)
        assert pairs_needed(differences, effect=0.2) == 77

    def test_promised_power_is_delivered(self):
        needed = pairs_needed(np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 60), effect=0.2)
        draws = np.random.default_rng(1).multinomial(needed, [0.3, 0.1, 0.6], size=2000)
        assert 0.72 < np.mean([mcnemar(int(a), int(b)) < 0.05 for b, a, _ in draws]) < 0.88

    def test_nothing_to_find(self):
        assert pairs_needed(np.array([]), effect=0.1) is None
        assert pairs_needed(np.array([1.0, -1.0]), effect=0.0) is None
        assert pairs_needed(np.array([1.0, -1.0]), effect=1e-9) is None


def _two_alike(generator, n):
    """Right or wrong of two systems of one quality, on samples of different difficulty."""
    difficulty = generator.random(n)
    return generator.random(n) > difficulty, generator.random(n) > difficulty
