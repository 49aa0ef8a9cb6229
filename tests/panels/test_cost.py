from made_records import frame_of, record

from mlaas_lab.panels import cost
from mlaas_lab.view import to_html, to_text


def spent(tmp_path, several):
    return cost.spending(frame_of(tmp_path / "r.parquet", several))


def test_unpriced_is_never_zero(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("ours", i, "a", "a") for i in range(5)])
    (line,) = cost.spending(frame)
    assert (line.usd, line.usd_priced, line.usd_per_1000, line.n_unpriced) == (None, None, None, 5)
    view = cost.panel.build(frame)
    for drawn in (to_text(view), to_html(view)):
        assert "unpriced" in drawn
        assert "$" not in drawn.partition("</style>")[2] + drawn.partition("<style>")[0]


def test_free_is_zero_and_says_so(tmp_path):
    (line,) = spent(tmp_path, [record("echo/a", i, "a", "a", usd="0") for i in range(5)])
    assert (line.usd, line.n_unpriced, line.source) == (0.0, 0, "list")


def test_sums_are_exact_to_the_micro_dollar(tmp_path):
    (line,) = spent(tmp_path, [record("a", i, "a", "a", usd="0.000001") for i in range(3000)])
    assert line.usd == 0.003
    assert line.usd_per_1000 == 0.001


def test_partly_priced_is_a_lower_bound(tmp_path):
    several = [record("a", i, "a", "a", usd="0.01" if i < 3 else None) for i in range(5)]
    frame = frame_of(tmp_path / "r.parquet", several)
    (line,) = cost.spending(frame)
    assert (line.usd, line.usd_priced, line.n_unpriced) == (None, 0.03, 2)
    assert "at least $0.03, 2 of 5 unpriced" in to_text(cost.panel.build(frame))


def test_mean_price_has_an_interval_where_prices_vary(tmp_path):
    several = [record("a", i, "a", "a", usd=f"0.00{i % 3 + 1}") for i in range(30)]
    (line,) = spent(tmp_path, several)
    assert line.ci_low < line.usd_per_1000 < line.ci_high
    assert line.ci_low > 0


def test_failed_calls_are_in_no_figure(tmp_path):
    several = [record("a", 0, "a", "a", usd="0.01"), record("a", 1, "", "a", error="timed_out")]
    (line,) = spent(tmp_path, several)
    assert (line.n, line.n_error, line.usd, line.input_tokens) == (1, 1, 0.01, 10)
