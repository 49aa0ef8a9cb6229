"""When requests are wanted: at the rate that was named, at random as a Poisson process is."""

import numpy as np
import pytest

from mlaas_lab.traffic.arrivals import arrivals


@pytest.mark.parametrize("rate", [0.5, 7.3, 100, 1000])
@pytest.mark.parametrize("kind", ["poisson", "constant"])
def test_the_rate_is_the_one_that_was_named(kind, rate):
    times = arrivals(kind, rate, 200.0, seed=3)
    assert len(times) / 200 == pytest.approx(rate, rel=0.005)
    assert times.min() >= 0
    assert times.max() < 200
    assert (np.diff(times) >= 0).all()


def test_gaps_of_poisson_arrivals_are_exponential():
    gaps = np.sort(np.diff(arrivals("poisson", 50.0, 100.0, seed=1)))
    n = len(gaps)
    expected = 1 - np.exp(-50.0 * gaps)
    apart = max(np.abs(np.arange(1, n + 1) / n - expected).max(), np.abs(np.arange(n) / n - expected).max())
    # Kolmogorov and Smirnov's 5 % point. Even gaps fail it by far.
    assert apart < 1.358 / np.sqrt(n)
    even = np.diff(arrivals("constant", 50.0, 100.0))
    assert np.abs(np.arange(1, len(even) + 1) / len(even) - (1 - np.exp(-50.0 * np.sort(even)))).max() > 0.5


def test_a_seed_decides_them():
    assert (arrivals("poisson", 20, 5, seed=1) == arrivals("poisson", 20, 5, seed=1)).all()
    assert (arrivals("poisson", 20, 5, seed=1) != arrivals("poisson", 20, 5, seed=2)).any()


def test_less_than_one_request_is_none():
    with pytest.raises(ValueError, match="less than one request"):
        arrivals("constant", 0.01, 10.0)
