"""Fieller's limits: against Student's where the ratio is a mean, against their own definition, and by simulation."""

import math

import numpy as np
import pytest

from mlaas_lab.stats.intervals import mean_limits
from mlaas_lab.stats.ratios import paired_ratio_limits
from mlaas_lab.stats.student import t_quantile


def test_over_ones_it_is_the_limits_of_a_mean():
    dollars = np.array([3.0, 4.0, 4.5, 5.0])
    assert paired_ratio_limits(dollars, np.ones(4)) == pytest.approx(mean_limits(dollars))


def test_at_either_limit_the_difference_is_just_significant():
    generator = np.random.default_rng(0)
    dollars, right = generator.gamma(2.0, 0.01, 60), (generator.random(60) < 0.7).astype(float)
    for limit in paired_ratio_limits(dollars, right):
        left = dollars - limit * right
        assert abs(left.mean()) / (left.std(ddof=1) / math.sqrt(60)) == pytest.approx(t_quantile(0.975, 59))


def test_what_cannot_be_told_from_nothing_has_no_limits():
    dollars = np.linspace(0.01, 0.02, 20)
    assert paired_ratio_limits(dollars, np.eye(20)[0]) == (None, None)
    assert paired_ratio_limits(dollars, np.zeros(20)) == (None, None)
    assert paired_ratio_limits(np.full(20, 0.01), np.ones(20)) == (None, None)
    assert paired_ratio_limits(dollars[:1], np.ones(1)) == (None, None)


def test_they_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        right = (generator.random(100) < 0.6).astype(float)
        dollars = generator.gamma(2.0, 0.01, 100) * (1 + right)
        low, high = paired_ratio_limits(dollars, right)
        held += low <= 0.02 * 1.6 / 0.6 <= high
    assert 0.93 <= held / 1000 <= 0.97
