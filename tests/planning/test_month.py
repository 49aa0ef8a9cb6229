"""A month at a vendor and on servers of one's own, against sums by hand and a second way to count servers."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from mlaas_lab import pricing
from mlaas_lab.planning.break_even import Estimate
from mlaas_lab.planning.demand import DAY_S, Demand, shaped
from mlaas_lab.planning.measured import Answers, Measured, Server
from mlaas_lab.planning.month import Limits, Machine, drawn, hosted, owned
from mlaas_lab.planning.queueing import waits
from mlaas_lab.pricing.many import costs
from mlaas_lab.schema import Target, Usage

MACHINE = Machine(usd_per_hour=Decimal("1.5"), hours_per_day=24.0, source="me", date=None, said="one")


def answers(latency_s, *, tokens=(100, 20), ttft=0.25):
    latency = np.asarray(latency_s, dtype=float)
    sizes = [None if size is None else np.full(len(latency), float(size)) for size in tokens]
    return Answers(
        latency_s=latency,
        ttft_s=None if ttft is None else ttft * latency,
        input_tokens=sizes[0],
        output_tokens=sizes[1],
    )


def served(latency_s, places, **how):
    """An endpoint of ours that bears as many as its places hold."""
    known = answers(latency_s, **how)
    per_s = places / float(known.latency_s.mean())
    bears = Estimate(value=per_s, low=per_s, high=per_s)
    server = Server(per_s=bears, places=places, answers=known, said="measured")
    return Measured(target=Target.parse("own"), name="own", own=True, answers=known, server=server)


def test_servers_are_as_few_as_hold_the_bound():
    random = np.random.default_rng(0)
    one = served(random.exponential(4.0, 2000), places=3)
    demand = shaped("flat", 100_000, days=1)
    found = owned(demand, one, MACHINE, bound_s=25.0)
    took = drawn(demand, one.answers, seed=0).times_s

    def p99(servers):
        return float(np.quantile(waits(demand.times_s, took, 3 * servers) + took, 0.99))

    assert found.servers > 1
    assert p99(found.servers) <= 25.0 < p99(found.servers - 1)
    assert found.times.p99_s == pytest.approx(p99(found.servers))
    assert found.usd == pytest.approx(1.5 * 24 * found.servers)
    # Little: the share of the time in which places are held.
    assert 1 - found.idle == pytest.approx(took.sum() / (3 * found.servers * DAY_S))


def test_a_bill_of_servers_is_as_sure_as_what_one_bears():
    known = answers(np.random.default_rng(5).exponential(4.0, 2000))
    per_s = 3 / float(known.latency_s.mean())
    bears = Estimate(value=per_s, low=per_s / 2, high=per_s * 2)
    server = Server(per_s=bears, places=3, answers=known, said="")
    one = Measured(target=Target.parse("own"), name="own", own=True, answers=known, server=server)
    demand = shaped("flat", 100_000, days=1)
    found = owned(demand, one, MACHINE, bound_s=25.0)
    assert found.usd_low < found.usd < found.usd_high
    assert found.usd_high == pytest.approx(2 * found.usd, rel=0.35)
    unbounded = replace(one, server=replace(server, per_s=Estimate(value=per_s, low=None, high=None)))
    found = owned(demand, unbounded, MACHINE, bound_s=25.0)
    assert (found.usd_low, found.usd_high) == (None, None)
    light = owned(shaped("flat", 100, days=1), one, MACHINE, bound_s=25.0)
    assert light.usd_low == light.usd == light.usd_high, "one server does in any case"


def test_a_light_test_makes_no_slow_server():
    """At hand were 0.3 requests: one place, held as long as the measured rate allows, and answers as they were."""
    known = answers([0.3] * 400)
    server = Server(per_s=Estimate(value=1.0, low=1.0, high=None), places=1, answers=known, said="")
    one = Measured(target=Target.parse("own"), name="own", own=True, answers=known, server=server)
    found = owned(shaped("flat", 864, days=2), one, MACHINE, bound_s=None)
    assert found.times.p50_s == pytest.approx(0.3)
    assert found.idle == pytest.approx(0.99, abs=0.001), "one in a hundred seconds, of which it bears one each"


def test_no_number_of_servers_makes_answers_shorter():
    found = owned(shaped("flat", 100, days=1), served([2.0] * 50, 2), MACHINE, bound_s=1.0)
    assert (found.servers, found.usd, found.times) == (None, None, None)
    assert found.reasons == ("no number of servers has a p99 within 1 s: answers alone take 2 s",)


def test_answers_grow_with_what_is_asked():
    one = answers([1.0] * 50)
    at = np.arange(3.0)
    demand = Demand(
        times_s=at, days=1, said="", input_tokens=np.array([100, 200, 100]), output_tokens=np.array([20, 20, 40])
    )
    # A quarter of it goes with 100 input tokens, the rest with 20 output tokens.
    assert drawn(demand, one, seed=0).times_s.tolist() == pytest.approx([1.0, 1.25, 1.75])
    whole = answers([1.0] * 50, ttft=None)
    assert drawn(demand, whole, seed=0).times_s.tolist() == pytest.approx([1.0, 1.0, 2.0])
    nobody = answers([1.0] * 50, tokens=(None, None))
    assert drawn(demand, nobody, seed=0).times_s.tolist() == [1.0] * 3


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gemini/gemini-2.5-pro", "openai/gpt-4.1"])
def test_a_bill_is_the_sum_of_its_calls(model):
    random = np.random.default_rng(2)
    target, at = Target.parse(model), 1795300000.0
    sizes = random.integers(0, 400_000, 200), random.integers(0, 5000, 200)
    found = costs(target, sizes, at=at)
    each = [
        pricing.cost(target, Usage(input_tokens=int(i), output_tokens=int(o)), at=at)
        for i, o in zip(*sizes, strict=True)
    ]
    assert found is not None
    assert [Decimal(int(one)) / 1_000_000 for one in found[0]] == [one.usd for one in each]
    assert set(found[1].split("; ")) == {part for one in each for part in one.source.split("; ")}
    assert costs(Target.parse("openai/no-such-model-9"), sizes, at=at) is None
    assert costs(Target.parse("own"), sizes, at=at) is None


def test_a_bill_does_not_wait_for_a_limit():
    one = Measured(target=Target.parse("openai/gpt-4o-mini"), name="theirs", own=False, answers=answers([0.5] * 400))
    demand = shaped("bursty", 20_000, days=2)
    free, held = (
        hosted(demand, one, limits, book=pricing.NONE, at=1795300000.0) for limits in (Limits(), Limits(requests=20.0))
    )
    assert free.usd == held.usd == pytest.approx(40_000 * 27e-6)
    assert (free.usd_low, free.usd_high) == (None, None), "no record says how much one call may differ from others"
    priced = replace(one, usd=Estimate(value=20e-6, low=15e-6, high=30e-6))
    known = hosted(demand, priced, Limits(), book=pricing.NONE, at=1795300000.0)
    assert (known.usd_low, known.usd_high) == pytest.approx((0.75 * known.usd, 1.5 * known.usd))
    assert free.times.p99_s == pytest.approx(0.5)
    assert held.times.p99_s > 1
    assert (free.waited, free.idle, free.servers) == (None, None, None)
    assert 0 < held.waited < 1
