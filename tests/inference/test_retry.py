"""Pauses: full jitter, growing, bounded; what the vendor asks for is a floor."""

import statistics

import pytest

from mlaas_lab.inference import retry
from mlaas_lab.inference.retry import MOST_S, asked_s, pause_s


def test_full_jitter_grows_and_is_bounded(monkeypatch):
    monkeypatch.setattr(retry, "BASE_S", 0.5)
    for failures in range(1, 12):
        top = min(MOST_S, retry.BASE_S * 2 ** (failures - 1))
        drawn = [pause_s(failures, None) for _ in range(2000)]
        assert min(drawn) >= 0
        assert max(drawn) <= top
        assert statistics.mean(drawn) == pytest.approx(top / 2, rel=0.1)
        assert max(drawn) - min(drawn) > 0.9 * top


def test_what_is_asked_for_is_a_floor():
    drawn = [pause_s(1, 2.0) for _ in range(500)]
    assert min(drawn) >= 2
    assert max(drawn) <= 2.31
    assert len(set(drawn)) > 400
    assert pause_s(1, 1e9) >= 1e9


def test_reading_the_header():
    assert asked_s({}) is None
    assert asked_s({"retry-after": "3"}) == 3
    assert asked_s({"retry-after": "0"}) == 0
    assert asked_s({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert asked_s({"retry-after-ms": "x", "retry-after": "9"}) == 9
    assert asked_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    for nonsense in ("soon", "-1", "nan", "inf", "", "1e999"):
        assert asked_s({"retry-after": nonsense}) is None
