"""Break-even against counting machines one request after another."""

import math

import pytest

from mlaas_lab.planning.break_even import BreakEven, Estimate, State, break_even, machines, unknown


def sure(value):
    return Estimate(value=value, low=value, high=value)


def counted(day_usd, most, call_usd, until):
    """Requests a day at which machines cost no more than calls, by trying each."""
    return [n for n in range(1, until) if machines(n, most) * day_usd <= n * call_usd + 1e-9]


@pytest.mark.parametrize(
    ("day_usd", "most", "call_usd"), [(24.0, 5000, 0.01), (24.0, 2500, 0.01), (24.0, 3300, 0.01), (7.0, 801, 0.011)]
)
def test_as_counting_says(day_usd, most, call_usd):
    found = break_even(day_usd, sure(most), sure(call_usd))
    cheaper = counted(day_usd, most, call_usd, 40_000)
    assert found.state is State.FOUND
    assert cheaper[0] == math.ceil(found.per_day - 1e-9)
    dearer = set(range(1, 40_000)) - set(cheaper)
    if found.always_from < 40_000:
        assert max(dearer) + 1 == math.ceil(found.always_from - 1e-9)
    assert (found.low, found.high) == (found.per_day, found.per_day)


def test_a_full_machine_that_is_dearer_never_is_cheaper():
    found = break_even(24.0, sure(2399), sure(0.01))
    assert found == BreakEven(state=State.NEVER)
    assert counted(24.0, 2399, 0.01, 100_000) == []
    assert break_even(24.0, sure(10_000), sure(0.0)).state is State.NEVER, "nothing is cheaper than free"


def test_no_further_machine_may_end_it():
    found = break_even(24.0, sure(2400), sure(0.01))
    assert found.per_day == 2400
    assert found.always_from == math.inf, "each further machine is dearer until it is full again"


def test_band_takes_both_sides_at_their_ends():
    most = Estimate(value=5000, low=4000, high=6000)
    found = break_even(24.0, most, Estimate(value=0.01, low=0.008, high=0.012))
    assert found.per_day == pytest.approx(2400)
    assert found.low == pytest.approx(2000)
    assert found.high == pytest.approx(3000)
    # At its worst a machine bears 2,900, and calls would be met at 3,000.
    worse = break_even(24.0, Estimate(value=5000, low=2900, high=6000), Estimate(value=0.01, low=0.008, high=0.012))
    assert (worse.state, worse.per_day, worse.high) == (State.FOUND, pytest.approx(2400), None)
    # Never by the estimates, and perhaps at their best.
    maybe = break_even(24.0, Estimate(value=2000, low=1500, high=2500), Estimate(value=0.01, low=0.008, high=0.012))
    assert (maybe.state, maybe.per_day, maybe.low, maybe.high) == (State.NEVER, None, pytest.approx(2000), None)


def test_what_nothing_bounds_leaves_the_band_open():
    found = break_even(24.0, Estimate(value=2000, low=1900, high=None), sure(0.01))
    assert (found.state, found.low) == (State.NEVER, 2400), "a server that may bear more may be cheaper"
    found = break_even(24.0, sure(5000), Estimate(value=0.01, low=None, high=None))
    assert (found.per_day, found.low, found.high) == (2400, 0, None)


def test_unknown_says_why():
    found = unknown("nobody says")
    assert (found.state, found.per_day, found.reason) == (State.UNKNOWN, None, "nobody says")
