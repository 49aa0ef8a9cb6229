import polars as pl
import pytest
from made_records import frame_of, record

from mlaas_lab.panels import latency
from mlaas_lab.view import to_text


def test_every_percentile_has_its_interval_and_its_n(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("a", i, "a", "a", latency_s=(i + 1) / 100) for i in range(200)])
    (line,) = latency.latencies(frame)
    assert line.n == 200
    p50 = line.latency_s["p50"]
    assert p50.ci_low < p50.value < p50.ci_high
    assert p50.value == pytest.approx(1.005, abs=1e-3)
    assert "n 200" in latency.panel.build(frame).summary


def test_too_few_requests_leave_a_side_open(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("a", i, "a", "a", latency_s=(i + 1) / 100) for i in range(20)])
    (line,) = latency.latencies(frame)
    assert line.latency_s["p99"].ci_high is None
    assert "to ?)" in to_text(latency.panel.build(frame))


def test_without_a_stream_there_is_no_first_token(tmp_path):
    plain = frame_of(tmp_path / "p.parquet", [record("a", i, "a", "a") for i in range(9)])
    streamed = frame_of(tmp_path / "s.parquet", [record("a", i, "a", "a", stream=True) for i in range(9)])
    assert latency.latencies(plain)[0].ttft_s is None
    assert latency.latencies(streamed)[0].ttft_s["p50"].value == pytest.approx(0.0625, abs=1e-4)
    assert "first token" not in to_text(latency.panel.build(plain))
    assert "Time to first token" in to_text(latency.panel.build(streamed))


def test_target_that_never_answered_has_no_latency(tmp_path):
    several = [record("a", 0, "a", "a"), record("b", 0, "", "a", error="unreachable")]
    frame = frame_of(tmp_path / "r.parquet", several)
    down = latency.latencies(frame)[1]
    assert (down.n, down.n_error, down.latency_s) == (0, 1, {})
    assert "b never answered (1 requests)" in latency.panel.build(frame).summary


def placed(tmp_path):
    """Two targets at one vendor in two regions, one of ours; latencies 10 ms to 1 s."""
    several = [record(t, i, "a", "a", latency_s=(i + 1) / 100) for t in ("x/a", "x/b", "mine") for i in range(100)]
    frame = frame_of(tmp_path / "p.parquet", several)
    eu = (pl.col("target") == "x/a") | (pl.col("sample_index") < 50)
    return frame.with_columns(
        provider=pl.when(pl.col("target") != "mine").then(pl.lit("x")),
        region=pl.when(pl.col("target") != "mine").then(pl.when(eu).then(pl.lit("eu")).otherwise(pl.lit("us"))),
    )


def test_percentiles_by_provider_and_region(tmp_path):
    for frame in (placed(tmp_path), placed(tmp_path).lazy()):
        found = latency.places(frame)
        assert [(one.provider, one.region, one.targets, one.n) for one in found] == [
            ("x", "eu", ("x/a", "x/b"), 150),
            ("x", "us", ("x/b",), 50),
            (None, None, ("mine",), 100),
        ]
        assert found[1].latency_s["p50"].value == pytest.approx(0.755)
    text = to_text(latency.panel.build(placed(tmp_path)))
    assert "Latency by provider and region" in text
    assert "ours" in text


def test_an_emulator_is_no_vendor(tmp_path):
    frame = placed(tmp_path).with_columns(emulated=pl.col("region") == "us")
    assert [one.emulated for one in latency.places(frame)] == [False, True, False]
    assert "x (emulated)" in to_text(latency.panel.build(frame))


def test_a_table_in_any_order_says_the_same(tmp_path):
    frame = placed(tmp_path)
    whole = latency.latencies(frame)
    mixed = frame.sort("sample_index", "target_index", maintain_order=True)
    assert latency.latencies(mixed) == whole
    assert sorted(map(repr, latency.places(mixed))) == sorted(map(repr, latency.places(frame)))


def test_the_curve_is_small_however_many_answers(tmp_path):
    few, many = (
        latency.panel.build(
            frame_of(tmp_path / "c.parquet", [record("a", i, "a", "a", latency_s=i / n) for i in range(n)])
        )
        for n in (50, 3000)
    )
    assert len(few.marks[0].samples[0].values) == 50
    (curve,) = many.marks[0].samples
    assert len(curve.values) == len(curve.shares) == latency.STAIRS
    assert (curve.values[0], curve.values[-1], curve.shares[-1]) == (0.0, pytest.approx(2999 / 3000), 1.0)
    middle = min(range(len(curve.shares)), key=lambda i: abs(curve.shares[i] - 0.5))
    assert curve.values[middle] == pytest.approx(0.5, abs=0.01)
