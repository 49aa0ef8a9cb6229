"""What records say of a server: what it bears at its knee, at one rate, when it was full; and what calls cost."""

import numpy as np
import polars as pl
import pytest
from made_loads import frame, row

from mlaas_lab.planning.measured import measured


def load(rate, took_s, *, n=400, start=0.0, bears=None, **more):
    """A load test of endpoint `own` at an even rate; a server that `bears` less answers later and later."""
    wanted = start + np.arange(n) / rate
    ends = wanted + took_s
    if bears is not None:
        ends = np.maximum(ends, start + took_s + np.arange(n) / bears)
    rest = {"target": "own", "run_id": "r", "offered_rate": rate, "input_tokens": 10, "output_tokens": 5, **more}
    return [row(w, w + took_s / 4, e, **rest) for w, e in zip(wanted.tolist(), ends.tolist(), strict=True)]


def one(rows, **how):
    (found,) = measured(frame(rows), slo={}, **how)
    return found


def test_at_one_rate_it_may_bear_more():
    found = one(load(20.0, 0.5))
    assert found.own
    server = found.server
    assert server.per_s.value == pytest.approx(20, rel=0.03)
    assert server.per_s.low <= server.per_s.value
    assert server.per_s.high is None
    assert server.places == 10, "Little: 20 a second of half a second each"
    assert "the only rate tried" in server.said


def test_a_full_server_bears_what_it_answered():
    found = one(load(50.0, 0.1, bears=20.0)).server
    assert found.per_s.value == pytest.approx(20, rel=0.03)
    assert (found.per_s.low, found.per_s.high) == pytest.approx((20, 20), rel=0.03), "it is bounded on both sides"
    assert "full, so its times hold its own queue" in found.said


def test_of_a_sweep_it_is_the_knee():
    rows = load(10.0, 0.2) + load(20.0, 0.25, start=1000) + load(40.0, 0.25, bears=25.0, start=2000)
    found = one(rows)
    assert found.server.per_s.value == pytest.approx(20, rel=0.03)
    assert found.server.per_s.high == pytest.approx(40, rel=0.05)
    assert found.server.places == 5
    assert set(found.answers.latency_s.round(3)) == {0.25}, "answers beyond the knee are nobody's"
    assert "at the knee of its sweep, 20/s offered" in found.server.said


def test_nothing_good_is_no_figure():
    assert one([{**r, "error": "overloaded"} for r in load(10.0, 0.1, n=5)]).unserved == "its load test has no answer"
    asked = one([{**r, "intended_at": None} for r in load(10.0, 0.1, n=5)])
    assert asked.server is None
    assert "no load test measured its throughput" in asked.unserved
    few = one(load(10.0, 0.1, n=8)).server
    assert (few.per_s.low, few.per_s.high) == (None, None), "eight answers bound nothing"


def test_the_last_load_test_counts():
    found = one(load(10.0, 0.2) + load(30.0, 0.2, start=5000, run_id="later"))
    assert found.server.per_s.value == pytest.approx(30, rel=0.03)


def test_whose_machine_it_is():
    names = {
        "own": (None, True),
        "openai/m?base_url=http://127.0.0.1:8000/v1": ("openai", True),
        "openai/gpt-4o": ("openai", False),
        "openai/gpt-4o?emulated=http://127.0.0.1:9/v1": ("openai", False),
        "mine": ("openai", True),
    }
    rows = [r for name, (vendor, _) in names.items() for r in load(10.0, 0.1, n=4, target=name, provider=vendor)]
    found = {each.name: each.own for each in measured(frame(rows), own=frozenset({"mine"}), slo={})}
    assert found == {name: own for name, (_, own) in names.items()}


def test_cost_of_an_answer_and_of_a_right_one():
    rows = load(10.0, 0.1, n=100, target="openai/gpt-4o", provider="openai", region="eu")
    records = frame(rows).with_columns(
        intended_at=pl.lit(None, pl.Float64),
        cost_usd=pl.Series([0.001, 0.003] * 50),
        exact_match=pl.Series([1.0, 0.0, 1.0, 1.0] * 25),
        exact_match_status=pl.lit("ok"),
        exact_match_reason=pl.lit(None, pl.String),
    )
    (found,) = measured(records, slo={})
    assert found.usd.value == pytest.approx(0.002)
    assert found.usd.low < 0.002 < found.usd.high
    right = found.right["exact_match"]
    assert right.share.value == 0.75
    assert right.usd.value == pytest.approx(0.2 / 75)
    assert found.target.get("region") == "eu"
    none = measured(records.with_columns(exact_match=0.0), slo={})[0].right["exact_match"]
    assert (none.usd, none.reason) == (None, "it gave no right answer")
    (part,) = measured(records.with_columns(cost_usd=pl.Series([None, 0.003] * 50)), slo={})
    assert part.usd is None
    assert part.unpriced == "50 of 100 calls have no known price"


def test_equal_prices_are_certain():
    rows = load(10.0, 0.1, n=50, target="openai/gpt-4o", provider="openai", cost_usd=0.002)
    (found,) = measured(frame(rows), slo={})
    assert (found.usd.low, found.usd.value, found.usd.high) == pytest.approx((0.002, 0.002, 0.002))
