"""What a plan says of requests that nobody measured: longer ones, more at once, and percentiles of few answers."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from mlaas_lab import pricing
from mlaas_lab.planning.break_even import Estimate
from mlaas_lab.planning.demand import shaped
from mlaas_lab.planning.measured import Answers, Measured, Server
from mlaas_lab.planning.month import Limits, Machine, hosted, owned
from mlaas_lab.schema import Target

MACHINE = Machine(usd_per_hour=Decimal("1.5"), hours_per_day=24.0, source="me", date=None, said="one")


def answers(n=400, *, tokens=(100, 20)):
    random = np.random.default_rng(0)
    sizes = [None if size is None else np.linspace(size, 2 * size, n) for size in tokens]
    return Answers(latency_s=random.exponential(0.2, n), ttft_s=None, input_tokens=sizes[0], output_tokens=sizes[1])


def vendor(known, *, tried=5.0):
    return Measured(target=Target.parse("openai/gpt-4o"), name="v", own=False, answers=known, tried_per_s=tried)


def own(known, *, per_s=1.0):
    bears = Estimate(value=per_s, low=per_s, high=per_s)
    server = Server(per_s=bears, places=1, answers=known, said="measured")
    return Measured(target=Target.parse("own"), name="own", own=True, answers=known, server=server)


def month(one, per_day=2000, *, sizes=None):
    demand = shaped("flat", per_day, days=1, sizes=sizes)
    if one.own:
        return owned(demand, one, MACHINE, bound_s=None)
    return hosted(demand, one, Limits(), book=pricing.NONE, at=1.7e9)


@pytest.mark.parametrize("of", [vendor, own])
def test_within_what_was_measured_nothing_is_said(of):
    assert month(of(answers())).beyond == ()
    assert month(of(answers()), sizes=(150, 30)).beyond == ()


@pytest.mark.parametrize("of", [vendor, own])
def test_other_lengths_are_said(of):
    one, two = month(of(answers()), sizes=(5000, 10)).beyond
    assert "100 % of requests have another input length than any that was measured (100 to 200 tokens" in " ".join(
        one.split()
    )
    assert "asked: 5,000 to 5,000" in one
    assert "another output length" in two
    unknown = month(of(answers(tokens=(None, None))), sizes=(5000, 10)).beyond
    assert unknown[0] == "the input tokens of what was measured are unknown, so lengths count for nothing"


def test_a_rate_that_nobody_tried_is_said_of_a_vendor():
    said = month(vendor(answers(), tried=0.01)).beyond
    assert len(said) == 1
    assert "requests a second, and it was measured at no more than 0.01" in said[0]


def test_several_servers_are_said():
    found = month(own(answers(), per_s=0.05), per_day=40_000)
    assert found.servers > 1
    assert f"{found.servers} are taken to bear {found.servers} times as much" in found.beyond[0]


@pytest.mark.parametrize("of", [vendor, own])
def test_a_p99_needs_368_answers_and_a_median_six(of):
    full = month(of(answers(368))).times
    assert None not in (full.p50_s, full.p99_s, full.worst_day_p99_s)
    few = month(of(answers(367))).times
    assert (few.p99_s, few.worst_day_p99_s) == (None, None)
    assert few.p50_s is not None
    assert month(of(answers(5))).times.p50_s is None


def test_servers_are_counted_all_the_same():
    few, many = month(own(answers(300))), month(own(answers(400)))
    assert few.servers is not None
    assert replace(few, times=None).usd == many.usd
