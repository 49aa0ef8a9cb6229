"""What records of a load test say: no percentile that so few cannot bound, failures in every share, known coverage."""

import json

import numpy as np
import polars as pl
import pytest
from made_loads import frame, row

from mlaas_lab.panels.load import panel
from mlaas_lab.stats.woodruff import clustered_quantile_limits
from mlaas_lab.traffic.figures import figures
from mlaas_lab.traffic.knee import curve, following, knee, objective


def rows(n, *, latency_s=0.5, first_s=0.1, rate=10.0, **more):
    return [row(i / rate, i / rate + first_s, i / rate + latency_s, offered_rate=rate, **more) for i in range(n)]


def failed(n, error="overloaded", rate=10.0):
    return [
        {"intended_at": i / rate, "started_at": i / rate, "ended_at": i / rate, "error": error, "offered_rate": rate}
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("n", "known"),
    [
        (5, []),
        (6, ["p50"]),
        (71, ["p50"]),
        (72, ["p50", "p95"]),
        (367, ["p50", "p95"]),
        (368, [*("p50", "p95", "p99")]),
    ],
)
def test_few_answers_bound_few_percentiles(n, known):
    random = np.random.default_rng(0)
    found = figures(frame([row(i, i + 0.1, i + x) for i, x in enumerate(random.uniform(0.2, 1, n))]), {}).latency_s
    assert [name for name in ("p50", "p95", "p99") if getattr(found, name) is not None] == known
    assert [name for name, limits in found.intervals.items() if None not in limits] == known


def test_a_failure_has_no_time_and_is_never_good():
    found = figures(frame(rows(90) + failed(8) + failed(2, "rate_limited")), {"latency_s": 0.6})
    assert (found.n, found.failed.n, found.limited.n, found.latency_s.n) == (100, 10, 2, 90)
    assert found.by_error == {"overloaded": 8, "rate_limited": 2}
    assert found.good.n == 90
    assert found.good.share == 0.9
    assert found.good.ci_low < 0.9 < found.good.ci_high


@pytest.mark.parametrize(
    ("slo", "n"),
    [
        ({"latency_s": 0.5}, 10),
        ({"latency_s": 0.4}, 0),
        ({"ttft_s": 0.1}, 10),
        ({"ttft_s": 0.09}, 0),
        ({"itl_s": 0.04}, 10),
        ({"itl_s": 0.03}, 0),
        ({"tpot_s": 0.05}, 10),
        ({"tpot_s": 0.04}, 0),
        ({"ttft_s": 0.2, "latency_s": 0.4}, 0),
    ],
)
def test_good_is_what_meets_every_bound(slo, n):
    # Halves are exact.
    made = [row(float(i), i + 0.09375, i + 0.5, gaps_s=json.dumps([0.03, 0.04]), tokens_per_s=20.0) for i in range(10)]
    assert figures(frame(made), slo).good.n == n


def test_what_was_not_measured_is_not_good():
    whole = [row(float(i), i, i + 0.5) | {"ttft_s": None} for i in range(10)]
    assert figures(frame(whole), {"ttft_s": 9.0}).good.n == 0
    assert figures(frame(whole), {"itl_s": 9.0}).good.n == 0
    # One piece alone has no gap that is too long.
    assert figures(frame([one | {"ttft_s": 0.1, "gaps_s": "[]"} for one in whole]), {"itl_s": 0.01}).good.n == 10


def test_throughput_lasts_to_the_last_end():
    found = figures(frame(rows(100, latency_s=1.1, output_tokens=32, input_tokens=10)), {})
    assert found.requests_per_s == pytest.approx(100 / 11.0)
    assert found.output_tokens_per_s == pytest.approx(3200 / 11.0)
    assert found.sent_per_s == pytest.approx(10.0)
    assert figures(frame(rows(99) + rows(1, output_tokens=3)), {}).output_tokens_per_s is None, "unknown is not 0"


def test_our_own_delay_is_said_and_in_every_time():
    found = figures(frame([row(i / 10, i / 10 + 0.3, i / 10 + 0.5, sent=i / 10 + 0.2) for i in range(100)]), {})
    assert found.late_p99_s == pytest.approx(0.2)
    assert found.latency_s.p50 == pytest.approx(0.5)


def test_intervals_hold_what_they_say():
    random = np.random.default_rng(7)
    held = dict.fromkeys(("p50", "p95", "p99"), 0)
    true = {name: float(np.exp(0.5 * z)) for name, z in {"p50": 0.0, "p95": 1.6449, "p99": 2.3263}.items()}
    for _ in range(100):
        delays = np.exp(0.5 * random.standard_normal(400))
        found = figures(frame([row(float(i), i, i + x) for i, x in enumerate(delays)]), {}).latency_s
        for name, limits in found.intervals.items():
            held[name] += limits[0] <= true[name] <= limits[1]
    # Of 100 at 95 %, fewer than 89 hold in one of 300 series.
    assert min(held.values()) >= 89, held


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_gaps_of_one_stream_count_as_alike(q):
    """Streams have speeds of their own: intervals on streams hold, those that take gaps as independent do not."""
    random = np.random.default_rng(3)
    whole = np.exp(0.5 * random.standard_normal((20_000, 1))) * np.exp(0.1 * random.standard_normal((20_000, 20)))
    true, own, plain = float(np.quantile(whole, q)), 0, 0
    for _ in range(200):
        values = np.exp(0.5 * random.standard_normal((80, 1))) * np.exp(0.1 * random.standard_normal((80, 20)))
        low, high = clustered_quantile_limits(values.ravel(), np.repeat(np.arange(80), 20), q)
        own += (low or 0) <= true <= (high or np.inf)
        ordered, half = np.sort(values.ravel()), 1.96 * np.sqrt(q * (1 - q) / values.size)
        plain += ordered[int(1600 * (q - half))] <= true <= ordered[min(1599, int(1600 * (q + half)))]
    assert own >= 178, own
    assert plain < 160, plain


def test_few_streams_bound_no_gap():
    made = [row(float(i), i, i + 1.0, gaps_s=json.dumps([0.1] * 200)) for i in range(9)]
    assert figures(frame(made), {}).itl_s.p50 is None
    made = [row(float(i), i, i + 1.0, gaps_s=json.dumps([0.1 + j / 1000 for j in range(200)])) for i in range(60)]
    assert figures(frame(made), {}).itl_s.p50 == pytest.approx(0.2, abs=0.003)


def step(rate, share, n=400):
    good = round(n * share)
    return [*rows(good, rate=rate), *[one | {"latency_s": 9.0} for one in rows(n - good, rate=rate)]]


def sweep(*steps):
    return curve(frame([one for made in steps for one in made]), {"latency_s": 1.0})


def test_the_knee_is_between_what_surely_held_and_what_surely_broke():
    steps = sweep(step(1, 1.0), step(2, 1.0), step(3, 0.96), step(4, 0.945), step(6, 0.5))
    found = knee(steps)
    assert (found.rate, found.low, found.high) == (3, 2, 6)
    assert knee(sweep(step(1, 1.0), step(2, 1.0))).high is None
    assert knee(sweep(step(1, 0.1), step(2, 0.0))).rate is None
    assert knee(sweep(step(1, 1.0))) is None


def test_a_rate_that_holds_above_one_that_broke_is_no_knee():
    assert knee(sweep(step(1, 1.0), step(2, 0.2), step(4, 1.0))).rate == 1


def test_a_sweep_doubles_halves_and_ends():
    assert following(sweep(step(1, 1.0))) == 2
    assert following(sweep(step(1, 1.0), step(2, 0.1))) == pytest.approx(2**0.5)
    assert following(sweep(step(1, 1.0), step(1.05, 0.1))) is None
    assert following(sweep(step(1, 0.1))) == 0.5


def test_without_an_objective_the_lightest_load_gives_one():
    made = frame([*rows(100, rate=1.0, latency_s=0.5), *rows(100, rate=2.0, latency_s=5.0)])
    assert objective(made, {}) == {"latency_s": pytest.approx(1.5)}
    assert objective(made, {"ttft_s": 1.0}) == {"ttft_s": 1.0}
    assert objective(frame(failed(3)), {}) == {}


def test_what_records_of_loads_are_made_of_survives_a_file(tmp_path):
    path = tmp_path / "records.parquet"
    frame(rows(10, gaps_s="[0.1, 0.2]")).write_parquet(path)
    assert figures(pl.read_parquet(path), {}).itl_s.n == 20


def test_a_table_without_its_gaps_is_a_load_all_the_same():
    made = frame([*rows(100, rate=1.0, gaps_s="[0.1]"), *rows(100, rate=2.0, latency_s=5.0, gaps_s="[0.1]")])
    lacks = made.drop("gaps_s")
    assert figures(lacks, {}).itl_s is None
    assert figures(lacks, {}).ttft_s == figures(made, {}).ttft_s
    assert panel.needs <= set(lacks.columns)
    assert "Knee: 1 requests a second" in panel.build(lacks).summary


def test_the_knee_stands_as_high_as_the_curves_beside_it():
    view = panel.build(frame([*rows(100, rate=10.0), *rows(100, rate=90.0, latency_s=20.0)]))
    for mark in view.marks[:2]:
        *curves, knee_line = mark.series
        assert max(knee_line.y) == max(y for one in curves for y in one.y if y is not None)
