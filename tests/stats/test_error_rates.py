"""The table of error rates in the README, in small: its bounds allow for the simulation's own error and no more."""

import pytest
from benchmarks import simulation
from scipy import stats as scipy

SLOW = {"verdict", "the same data", "the same at", "sign flips", "asked until"}


def times(mode):
    return 100 if mode.name.startswith(tuple(SLOW)) else 1500


@pytest.mark.parametrize("mode", [m for m in simulation.MODES if not m.control], ids=lambda m: m.name)
def test_false_alarms_stay_below_the_nominal(mode):
    n = times(mode)
    assert simulation.alarms(mode, n) <= scipy.binom.ppf(0.9999, n, mode.nominal)


@pytest.mark.parametrize("mode", [m for m in simulation.MODES if m.control], ids=lambda m: m.name)
def test_control_the_wrong_way_is_seen_to_be_wrong(mode):
    n = times(mode)
    assert simulation.alarms(mode, n) > scipy.binom.ppf(0.9999, n, mode.nominal)


@pytest.mark.parametrize(("planned", "most"), [(0.8, 0.82), (0.99, 0.62)])
def test_stopping_keeps_the_power_and_saves_samples(planned, most):
    """Shares scatter by √(p (1 - p) / runs); the exact figures are in test_sequential."""
    runs = 2500
    found = simulation.stopping(planned_power=planned, times=runs)
    assert found.power == pytest.approx(planned, abs=4 * (planned * (1 - planned) / runs) ** 0.5 + 0.01)
    assert found.share >= 0.97 - 3 * (0.03 / runs) ** 0.5
    assert found.sample <= most + 3 * 0.25 / runs**0.5


def test_same_seed_same_table():
    mode = simulation.MODES[2]
    assert simulation.alarms(mode, 300) == simulation.alarms(mode, 300)
