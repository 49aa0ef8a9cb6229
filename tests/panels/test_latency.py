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
