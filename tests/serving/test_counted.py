"""Tokens that a server read and wrote for others, from its counters."""

from concurrent.futures import Future

import pytest

from mlaas_lab.schema import Work
from mlaas_lab.serving import _counted
from mlaas_lab.serving._counted import Tokens
from mlaas_lab.serving._health import Load


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [100.0]
    monkeypatch.setattr(_counted.time, "monotonic", lambda: now[0])
    return now


def load(read, written, **more):
    return Load(running=3.0, done=0.0, read=read, written=written, **more)


def begun(first):
    known = Future()
    known.set_result(first)
    return Tokens(known)


def test_what_was_there_and_what_we_asked_for_ourselves_is_left_out(clock):
    tokens = begun(load(1000.0, 100.0))  # the comparison with what was trained
    clock[0] += 10
    first = tokens.work(load(1500.0, 200.0, waiting=1.0, cache=0.25))
    assert (first.input_tokens, first.output_tokens, first.tokens_per_s) == (500, 100, 60)
    assert (first.running, first.waiting, first.cache, first.over_s) == (2, 1, 0.25, 10)
    tokens.leave_out("m", (20, 1))
    clock[0] += 10
    second = tokens.work(load(1520.0, 201.0))
    assert (second.input_tokens, second.output_tokens, second.tokens_per_s) == (500, 100, 0)
    assert (second.running, second.waiting, second.cache) == (3, None, None)


def test_each_model_has_its_own_rate_where_they_are_counted_apart(clock):
    tokens = begun(load(1000.0, 0.0, by_model={"a": 900.0, "b": 100.0}))
    clock[0] += 10
    assert tokens.work(load(1200.0, 0.0, by_model={"a": 1100.0, "b": 100.0})).by_model == {"a": 20, "b": 0}
    tokens.leave_out("a", (20, 1))
    clock[0] += 10
    third = tokens.work(load(1270.0, 1.0, by_model={"a": 1121.0, "b": 150.0}))
    assert (third.by_model, third.tokens_per_s) == ({"a": 0, "b": 5}, 5)
    assert tokens.work(load(1300.0, 0.0)).by_model == {}


@pytest.mark.parametrize(("first", "now"), [(None, load(1.0, 1.0)), (load(None, None), load(1.0, 1.0))])
def test_what_it_does_not_count_is_unknown(clock, first, now):
    clock[0] += 1
    found = begun(first).work(now)
    assert (found.tokens_per_s, found.input_tokens, found.output_tokens) == (None, None, None)


def test_idle_time_is_paid_by_the_tokens_there_were():
    hour = Work(at=0, input_tokens=900_000.0, output_tokens=100_000.0, over_s=1800.0, usd_per_hour=2.0)
    assert hour.usd_per_million == pytest.approx(1.0)
    assert Work(at=0, input_tokens=0.0, output_tokens=0.0, over_s=9.0, usd_per_hour=2.0).usd_per_million is None
    assert Work(at=0, input_tokens=9.0, output_tokens=9.0, over_s=9.0).usd_per_million is None
