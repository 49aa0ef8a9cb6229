"""Boundaries against published ones, and what stopping costs and saves, by integration and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats.boundaries import boundaries, crossing, spent
from mlaas_lab.stats.sequential import LOOKS, allowed, looks
from mlaas_lab.stats.standardized import limits_at, standardized

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
DRIFTS = {0.80: scipy.norm.ppf(0.975) + scipy.norm.ppf(0.80), 0.99: scipy.norm.ppf(0.975) + scipy.norm.ppf(0.99)}


class TestBoundaries:
    def test_five_looks_are_the_published_ones(self):
        """Lan & DeMets' O'Brien–Fleming-type spending, two-sided 5 %, as in Jennison & Turnbull 2000 and R's ldbounds."""
        assert boundaries(FIFTHS) == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=6e-4)

    def test_two_and_three_looks(self):
        """The same sources: 2.963, 1.969 and 3.710, 2.511, 1.993."""
        assert boundaries((0.5, 1.0)) == pytest.approx((2.963, 1.969), abs=6e-4)
        assert boundaries((1 / 3, 2 / 3, 1.0)) == pytest.approx((3.710, 2.511, 1.993), abs=6e-4)

    def test_one_look_is_the_fixed_test(self):
        assert boundaries((1.0,)) == pytest.approx((1.959964,), abs=1e-6)

    def test_classical_obrien_fleming_uses_five_percent(self):
        """Jennison & Turnbull 2000, table 2.3: C = 2.040 for five looks, c_k = C √(5 / k)."""
        limits = tuple(2.040 * math.sqrt(5 / k) for k in range(1, 6))
        assert limits == pytest.approx((4.562, 3.226, 2.634, 2.281, 2.040), abs=1e-3)
        assert crossing(FIFTHS, limits).total == pytest.approx(0.05, abs=1e-4)

    def test_pococks_constants(self):
        """Jennison & Turnbull 2000, table 2.1: 2.178 for two looks, 2.413 for five, 2.555 for ten."""
        for k, constant in ((2, 2.178), (5, 2.413), (10, 2.555)):
            times = tuple((i + 1) / k for i in range(k))
            assert crossing(times, (constant,) * k).total == pytest.approx(0.05, abs=1e-4)

    def test_naive_looks_of_armitage_mcpherson_and_rowe(self):
        """Their table 2 (1969): 1.96 at each of 1, 2, 5, 10 looks raises 5.0, 8.3, 14.2, 19.3 % false alarms."""
        for k, alarms in ((1, 0.050), (2, 0.083), (5, 0.142), (10, 0.193)):
            times = tuple((i + 1) / k for i in range(k))
            assert crossing(times, (1.959964,) * k).total == pytest.approx(alarms, abs=6e-4)

    def test_spending_ends_at_alpha(self):
        assert spent(1.0) == pytest.approx(0.05)
        assert spent(0.2) == pytest.approx(2 * scipy.norm.sf(4.8769), rel=1e-3)

    @given(st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True), st.sampled_from([0.05, 0.01, 0.005]))
    def test_any_times_spend_what_they_may(self, hundredths, alpha):
        times = tuple(sorted(at / 100 for at in hundredths))
        assert crossing(times, boundaries(times, alpha)).total == pytest.approx(spent(times[-1], alpha), abs=1e-7)

    @pytest.mark.parametrize("times", [(), (0.0, 1.0), (0.5, 0.5), (0.6, 0.4), (0.5, 1.1)])
    def test_times_must_rise(self, times):
        with pytest.raises(ValueError, match="rising"):
            boundaries(times)
        with pytest.raises(ValueError, match="rising"):
            crossing(times, (2.0,) * len(times))

    def test_alpha_is_a_probability(self):
        with pytest.raises(ValueError, match="alpha"):
            boundaries((1.0,), 1.0)


class TestPromises:
    """By integration, so without simulation error: as many samples at most as the fixed test takes."""

    @pytest.mark.parametrize(("power", "most"), [(0.80, 0.82), (0.99, 0.62)])
    def test_power_is_kept_and_samples_are_saved(self, power, most):
        found = crossing(FIFTHS, boundaries(FIFTHS), drift=DRIFTS[power])
        assert sum(found.above) >= 0.97 * power
        stops = [a + b for a, b in zip(found.above, found.below, strict=True)]
        sample = sum(time * stop for time, stop in zip(FIFTHS, stops, strict=True)) + 1 - sum(stops)
        assert sample <= most

    def test_more_looks_save_little(self):
        samples = {}
        for k in (1, 5, 10):
            times = tuple((i + 1) / k for i in range(k))
            found = crossing(times, boundaries(times), drift=DRIFTS[0.80])
            stops = [a + b for a, b in zip(found.above, found.below, strict=True)]
            samples[k] = sum(time * stop for time, stop in zip(times, stops, strict=True)) + 1 - sum(stops)
        assert samples[1] == pytest.approx(1)
        assert 0.02 < samples[5] - samples[10] < 0.04

    def test_sides_mirror(self):
        up, down = (crossing(FIFTHS, boundaries(FIFTHS), drift=drift) for drift in (1.5, -1.5))
        assert up.above == pytest.approx(down.below)
        assert up.below == pytest.approx(down.above)

    def test_integration_is_what_walks_do(self):
        generator = np.random.default_rng(1)
        steps = generator.normal(2.8 / 5, math.sqrt(1 / 5), size=(50_000, 5))
        z = np.cumsum(steps, axis=1) / np.sqrt(FIFTHS)
        ends = np.abs(z) > boundaries(FIFTHS)
        stopped = [float((ends[:, k] & ~ends[:, :k].any(axis=1)).mean()) for k in range(5)]
        found = crossing(FIFTHS, boundaries(FIFTHS), drift=2.8)
        assert stopped == pytest.approx([a + b for a, b in zip(found.above, found.below, strict=True)], abs=0.009)


class TestLook:
    def test_the_last_look_decides_what_the_first_does_not(self):
        differences = np.array([1.0] * 16 + [-1.0] * 4 + [0.0] * 80)  # z = 12 / √20 = 2.68
        first = allowed(0, 100, 500, differences)
        last = allowed(4, 100, 100, differences)
        assert (first.decided, last.decided) == (False, True)
        assert first.z == last.z == pytest.approx(12 / math.sqrt(20))
        assert (first.number, first.time, last.number, last.time) == (1, 0.2, 5, 1.0)
        assert first.boundary == pytest.approx(4.877, abs=6e-4)
        assert last.boundary == pytest.approx(2.031, abs=6e-4)
        assert last.spent == pytest.approx(0.05)
        assert first.difference == pytest.approx(0.12)

    @given(st.integers(0, 4), st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.5, 1.0]), min_size=2, max_size=60))
    def test_decided_is_when_the_interval_excludes_zero(self, done, values):
        differences = np.array(values)
        look = allowed(done, (done + 1) * 100, 500, differences)
        if look.ci_low is not None and abs(abs(look.z) - look.boundary) > 1e-9:
            assert look.decided == (look.ci_low > 0 or look.ci_high < 0)
            assert look.ci_low <= look.difference <= look.ci_high
        if look.decided:
            assert len(values) > look.boundary**2 - 1e-9, "a few differences never decide, however equal"

    def test_nothing_answered_decides_nothing(self):
        look = allowed(1, 40, 100, np.array([]))
        assert (look.decided, look.z, look.difference, look.ci_low) == (False, 0.0, None, None)

    def test_equal_differences_leave_the_interval_open(self):
        look = allowed(4, 60, 60, np.ones(60))
        assert (look.decided, look.ci_low, look.ci_high) == (True, None, None)

    def test_more_comparisons_ask_for_more(self):
        assert allowed(4, 60, 60, np.ones(60), alpha=0.05 / 6).boundary > 2.5

    def test_a_missed_look_is_not_paid_for(self):
        assert allowed(0, 100, 100, np.ones(100)).boundary == pytest.approx(1.959964, abs=1e-6)

    @pytest.mark.parametrize(
        ("done", "n", "total"), [(5, 100, 100), (-1, 10, 100), (2, 40, 100), (0, 0, 100), (0, 101, 100)]
    )
    def test_looks_that_cannot_be(self, done, n, total):
        with pytest.raises(ValueError, match="look"):
            allowed(done, n, total, np.ones(10))

    @given(st.integers(1, 5000))
    def test_looks_are_even_and_end_with_all(self, total):
        at = looks(total)
        assert at == sorted(set(at))
        assert at[-1] == total
        assert len(at) <= LOOKS
        assert all(allowed(done, n, total, np.ones(3)).number == done + 1 for done, n in enumerate(at))

    def test_the_interval_holds_whenever_one_stops(self):
        """And the naive interval of a test that stopped does not."""
        generator = np.random.default_rng(5)
        hits, naive, runs = 0, 0, 1500
        for _ in range(runs):
            differences = generator.normal(0.25, 1, 250)
            for done, n in enumerate(looks(250)):
                look = allowed(done, n, 250, differences[:n])
                if look.decided:
                    break
            hits += look.ci_low <= 0.25 <= look.ci_high
            half = 1.96 * differences[:n].std(ddof=1) / math.sqrt(n)
            naive += abs(look.difference - 0.25) <= half
        assert hits >= scipy.binom.ppf(1e-4, runs, 0.95)
        assert naive < hits


class TestStandardized:
    def test_is_mcnemars(self):
        assert standardized(np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 40)) == pytest.approx(6 / math.sqrt(12))
        assert standardized(np.zeros(5)) == standardized(np.array([])) == 0.0

    def test_limits_solve_for_the_bound(self):
        differences = np.random.default_rng(2).normal(0.3, 1, 50)
        low, high = limits_at(differences, 1.96)
        assert standardized(differences - low) == pytest.approx(1.96)
        assert standardized(differences - high) == pytest.approx(-1.96)

    def test_near_students(self):
        differences = np.random.default_rng(3).normal(0.3, 1, 400)
        theirs = scipy.ttest_1samp(differences, 0).confidence_interval()
        assert limits_at(differences, 1.96) == pytest.approx((theirs.low, theirs.high), abs=0.001)

    def test_few_say_nothing(self):
        assert limits_at(np.array([1.0, 2.0, 3.0]), 1.96) == (None, None)
        assert limits_at(np.ones(50), 1.96) == (None, None)
