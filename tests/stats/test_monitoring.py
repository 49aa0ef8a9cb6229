"""Always-valid: against the formula at a fixed time, and by watching it for long."""

import math

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy

from mlaas_lab.stats.monitoring import always_valid, bound, monitored, price


def test_is_the_mixture_of_likelihood_ratios():
    """For values whose mean square is 1: ∫ exp(λ Σ - n λ² / 2) N(λ; 0, τ²) dλ, integrated by scipy (Robbins 1970)."""
    n, total, alpha, planned = 80, 26, 0.05, 100
    tau2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned

    def part(effect):
        return math.exp(effect * total - n * effect**2 / 2) * scipy.norm.pdf(effect, scale=math.sqrt(tau2))

    ratio = integrate.quad(part, -5, 5)[0]
    differences = np.concatenate([np.resize([1.0, -1.0], n - total), np.ones(total)])
    assert always_valid(differences, planned=planned)[-1] == pytest.approx(1 / ratio, rel=1e-6)


def test_p_is_small_exactly_beyond_the_bound():
    differences = np.random.default_rng(1).normal(0.4, 1, 300)
    p_values = always_valid(differences, planned=100)
    z = np.cumsum(differences) / np.sqrt(np.cumsum(differences**2))
    beyond = np.array([abs(z[i]) > bound(i + 1, planned=100) for i in range(300)])
    first = int(np.argmax(beyond))
    assert beyond.any()
    assert (p_values < 0.05).tolist() == [i >= first for i in range(300)]
    found = monitored(differences, planned=100)
    assert (found.decided_at, found.n, found.p_value) == (first + 1, 300, p_values[-1])
    assert found.ci_low > 0


def test_p_never_rises_and_few_never_decide():
    assert np.all(np.diff(always_valid(np.random.default_rng(2).normal(size=500), planned=50)) <= 0)
    assert always_valid(np.ones(5), planned=500)[-1] > 0.05
    assert always_valid(np.zeros(50), planned=500)[-1] == 1.0


def test_nothing_yet():
    found = monitored(np.array([]), planned=10)
    assert (found.n, found.p_value, found.decided_at, found.difference, found.ci_low) == (0, 1.0, None, None, None)


def test_something_must_be_planned():
    with pytest.raises(ValueError, match="planned"):
        always_valid(np.ones(3), planned=0)


def test_false_alarms_while_watching_and_the_sequence_holds():
    """400 samples, looked at after each; the truth must lie in all intervals at once 95 times of 100."""
    generator = np.random.default_rng(3)
    runs, alarms, left = 1500, 0, 0
    bounds = np.array([bound(n, planned=200) for n in range(1, 401)])
    for _ in range(runs):
        differences = generator.normal(0.3, 1, 400)
        alarms += always_valid(differences - 0.3, planned=200)[-1] < 0.05
        centred = differences - 0.3
        z = np.cumsum(centred) / np.sqrt(np.cumsum(centred**2))
        left += bool((np.abs(z) > bounds).any())
    assert alarms == left, "the intervals are those of the test"
    assert alarms <= scipy.binom.ppf(0.9999, runs, 0.05)


def test_interval_is_the_tests():
    differences = np.random.default_rng(4).normal(0.3, 1, 150)
    found = monitored(differences, planned=150)
    for edge in (found.ci_low, found.ci_high):
        centred = differences - edge
        z = abs(centred.sum()) / math.sqrt((centred**2).sum())
        assert z == pytest.approx(bound(150, planned=150))


@pytest.mark.parametrize("planned", [100, 2000])
def test_price_is_below_two_and_buys_the_power_of_the_fixed_test(planned):
    assert 1.4 < price(planned) < 2
    most, effect = round(planned * price(planned)), scipy.norm.ppf([0.975, 0.8]).sum() / math.sqrt(planned)
    generator = np.random.default_rng(planned)
    runs = 1000
    found = sum(
        monitored(generator.normal(effect, 1, most), planned=planned).decided_at is not None for _ in range(runs)
    )
    assert scipy.binom.ppf(1e-4, runs, 0.79) <= found <= scipy.binom.ppf(0.9999, runs, 0.83)


def test_bound_is_lowest_about_where_it_was_planned():
    relative = {n: bound(n, planned=400) / math.sqrt(n) / (bound(n, planned=n) / math.sqrt(n)) for n in (40, 400, 4000)}
    assert relative[400] == 1.0
    assert relative[40] > 1.05
    assert relative[4000] > 1.05
