"""Traffic that is planned for: how much, when, how uneven; and traces that are repeated."""

import numpy as np
import pytest

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.planning.demand import BURST_CV, DAY_S, SWING, recorded, shaped


@pytest.mark.parametrize("shape", ["diurnal", "bursty", "flat"])
def test_as_much_as_was_asked_for_in_order(shape):
    found = shaped(shape, 5000, days=3)
    assert (found.n, found.per_day) == (15_000, 5000)
    assert (np.diff(found.times_s) >= 0).all()
    assert 0 <= found.times_s[0] < found.times_s[-1] < 3 * DAY_S
    assert found.input_tokens is None
    assert np.array_equal(found.times_s, shaped(shape, 5000, days=3).times_s)
    assert not np.array_equal(found.times_s, shaped(shape, 5000, days=3, seed=1).times_s)


def by_stretch(demand, stretch_s):
    return np.histogram(demand.times_s, bins=round(demand.days * DAY_S / stretch_s), range=(0, demand.days * DAY_S))[0]


def test_a_day_swings_around_its_peak():
    hours = by_stretch(shaped("diurnal", 100_000, days=10), 3600).reshape(10, 24).sum(axis=0)
    known = 1 + SWING * np.cos(2 * np.pi * (np.arange(24) + 0.5 - 14) / 24)
    assert hours / hours.mean() == pytest.approx(known, abs=0.03)


def test_bursts_scatter_more_than_chance():
    """Of counts in stretches: variance = mean + (CV · mean)², Poisson alone has its mean."""
    counts = by_stretch(shaped("bursty", 144 * 40, days=100), 600)
    assert counts.var() == pytest.approx(40 + (BURST_CV * 40) ** 2, rel=0.1)
    flat = by_stretch(shaped("flat", 144 * 40, days=100), 600)
    assert flat.var() == pytest.approx(40, rel=0.1)


def test_at_a_flat_rate_gaps_are_exponential():
    gaps = np.diff(shaped("flat", 100_000, days=1).times_s)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)


def test_hours_without_traffic_have_none():
    found = shaped("flat", 6000, days=2, hours=8.0, sizes=(100, 20))
    hours = (found.times_s / 3600) % 24
    assert hours.min() >= 10
    assert hours.max() <= 18
    assert set(found.input_tokens.tolist()) == {100}
    assert set(found.output_tokens.tolist()) == {20}
    assert shaped("flat", 6000, days=2, hours=0.01).n == 12_000, "a moment has room for all"


def test_a_trace_goes_round_with_its_gaps(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n5,1,10\n1005,2,20\n3005,3,30\n")
    found = recorded(path, {}, days=1)
    # Two gaps in 3,000 s: a round takes 4,500 s.
    assert found.times_s[:7].tolist() == [0, 1000, 3000, 4500, 5500, 7500, 9000]
    assert found.input_tokens[:7].tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert found.output_tokens[:4].tolist() == [10, 20, 30, 10]
    assert found.times_s[-1] < DAY_S
    assert found.n == pytest.approx(3 * DAY_S / 4500, abs=1)
    assert "repeated 20 times" in found.assumed[0]


def test_a_trace_that_is_longer_is_cut(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "".join(f"{i * 43200},1,1\n" for i in range(10)))
    found = recorded(path, {}, days=2)
    assert found.times_s.tolist() == [0, 43_200, 86_400, 129_600]
    assert found.assumed == ()


def test_no_rate_is_one_line(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n7,1,1\n7,1,1\n")
    with pytest.raises(DataError, match="2 requests at one time say no rate"):
        recorded(path, {}, days=1)
    with pytest.raises(UsageError, match="no rate"):
        shaped("flat", 1, days=1)


def test_too_many_are_refused_before_they_are_made(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,1,1\n0.001,1,1\n")
    with pytest.raises(UsageError, match="are more than the 5,000,000"):
        recorded(path, {}, days=30)
    with pytest.raises(UsageError, match="are more than the 5,000,000"):
        shaped("flat", 1_000_000, days=30)
