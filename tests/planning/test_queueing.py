"""Queues against what is known of them in closed form, and against a second way to reckon them."""

import math

import numpy as np
import pytest

from mlaas_lab.planning.queueing import held_back, most_at_once, waits

N = 300_000


def poisson(rate, n=N, seed=0):
    return np.cumsum(np.random.default_rng([seed, 1]).exponential(1 / rate, n))


def exponential(mean, n=N, seed=0):
    return np.random.default_rng([seed, 2]).exponential(mean, n)


def erlang_c(k, load):
    """Chance to wait in M/M/k at `load` erlangs (Erlang 1917; Gross & Harris, section 2.3)."""
    terms = [load**i / math.factorial(i) for i in range(k)]
    last = load**k / math.factorial(k) / (1 - load / k)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("k", "load"), [(1, 0.7), (2, 1.5), (5, 4.0), (20, 17.0)])
def test_exponential_services_wait_as_erlang_says(k, load):
    times, services = poisson(load), exponential(1.0)
    found = waits(times, services, k)
    chance = erlang_c(k, load)
    assert (found > 0).mean() == pytest.approx(chance, rel=0.04)
    assert found.mean() == pytest.approx(chance / (k - load), rel=0.08)
    # Who waits, waits an exponential time: P(W > t) = C exp(-(k - load) t).
    t = math.log(chance / 0.01) / (k - load) if chance > 0.01 else 0.0
    assert np.quantile(found, 0.99) == pytest.approx(t, rel=0.1)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_constant_services_wait_half_as_long(load):
    """Pollaczek 1930, Khinchine 1932: load / (2 (1 - load)) of a service."""
    found = waits(poisson(load), np.ones(N), 1)
    assert found.mean() == pytest.approx(load / (2 * (1 - load)), rel=0.04)


@pytest.mark.parametrize("k", [1, 4])
def test_number_at_hand_is_rate_times_time(k):
    """Little 1961, reckoned from the times when the number changes and not from the waits."""
    times, services = poisson(0.8 * k, 50_000), exponential(1.0, 50_000)
    ends = times + waits(times, services, k) + services
    at = np.concatenate([times, ends])
    order = np.argsort(at, kind="stable")
    number = np.cumsum(np.concatenate([np.ones(len(times)), -np.ones(len(ends))])[order])
    area = float((number[:-1] * np.diff(at[order])).sum())
    whole_s = at.max() - times[0]
    assert area / whole_s == pytest.approx(len(times) / whole_s * float((ends - times).mean()), rel=1e-9)


def one_by_one(times, services, k):
    """The same in the most plain way."""
    free, found = [0.0] * k, []
    for came, service in zip(times, services, strict=True):
        place = min(range(k), key=lambda i: free[i])
        start = max(came, free[place])
        free[place] = start + service
        found.append(start - came)
    return found


@pytest.mark.parametrize("k", [1, 2, 7])
def test_any_times_and_services_do(k):
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0, 100, 400).round(1))
    services = random.pareto(1.5, 400) * k / 8
    found = waits(times, services, k)
    assert found == pytest.approx(one_by_one(times.tolist(), services.tolist(), k), abs=1e-9)
    assert found.max() > 0


def test_places_that_are_never_all_taken_make_nobody_wait():
    times, services = poisson(3.0, 2000), exponential(1.0, 2000)
    most = most_at_once(times, services)
    assert waits(times, services, most).max() == 0
    assert waits(times, services, most - 1).max() > 0
    assert most_at_once(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0])) == 1, "one leaves as the next comes"
    with pytest.raises(ValueError, match="0 places"):
        waits(times, services, 0)


def bucket(times, amounts, per_s, burst):
    """A bucket that is filled and emptied step by step; who does not find enough waits, and others behind him."""
    level, at, found = burst, 0.0, []
    for came, amount in zip(times, amounts, strict=True):
        now = max(came, at)
        level = min(burst, level + (now - at) * per_s)
        if level < amount:
            now += (amount - level) / per_s
            level = amount
        level -= amount
        at = now
        found.append(now - came)
    return found


def test_limit_holds_back_as_a_bucket_does():
    random = np.random.default_rng(4)
    times, amounts = np.sort(random.uniform(0, 600, 900)), random.integers(1, 60, 900).astype(float)
    found = held_back(times, amounts, per_s=40.0, burst=300.0)
    assert found == pytest.approx(bucket(times.tolist(), amounts.tolist(), 40.0, 300.0), abs=1e-6)
    assert 0 < (found > 0).mean() < 1
    assert held_back(times, amounts, per_s=1000.0, burst=1000.0).max() == 0
