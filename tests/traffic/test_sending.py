"""Requests leave at their times whatever is outstanding, and the figures hold what a target with known delays does.

Two ways of fooling oneself are tried beside it, and both are caught: to hold requests back and count from when they
left, and to ask a target that stands still less.
"""

import asyncio

import pytest
from made_loads import DURATION_S, STALL_S, in_virtual_time, load, truth

from mlaas_lab.traffic.figures import figures
from mlaas_lab.traffic.sending import at_their_times


def never():
    return False


def known(name, q, *, stalls, duration_s=DURATION_S):
    return truth(q, duration_s=duration_s, stalls=stalls, rest_s=0.0 if name == "ttft_s" else 0.1)


def held(found, name, q, *, stalls):
    """Whether the stated interval has what is known."""
    low, high = getattr(found, name).intervals[f"p{100 * q:.0f}"]
    return low <= known(name, q, stalls=stalls) <= high


def check_coverage(runs, fewest, *, stalls):
    """So many of the runs must hold, for each percentile of each time."""
    found = [figures(load(seed, stalls=stalls), {}) for seed in range(runs)]
    for name in ("ttft_s", "latency_s"):
        for q in (0.5, 0.99):
            assert sum(held(one, name, q, stalls=stalls) for one in found) >= fewest, (name, q)


@pytest.mark.parametrize(
    ("stalls", "runs", "fewest"), [(False, 6, 4), (True, 16, 13)], ids=["steady", "a stall of 2 s"]
)
def test_known_delays_lie_within_the_stated_intervals(stalls, runs, fewest):
    """At 95 % a run, fewer hold in one of 400 series."""
    check_coverage(runs, fewest, stalls=stalls)


@pytest.mark.long
@pytest.mark.parametrize("stalls", [False, True], ids=["steady", "a stall of 2 s"])
def test_intervals_hold_in_95_of_100_runs(stalls):
    """At 95 % a run, fewer than 370 of 400 hold in one of 100 series."""
    check_coverage(400, 370, stalls=stalls)


@pytest.mark.parametrize("way", ["open", "from its leaving", "closed"])
def test_what_fools_itself_is_caught(way):
    low, high = figures(load(3, way=way, duration_s=90.0), {}).latency_s.intervals["p99"]
    there = low <= known("latency_s", 0.99, stalls=True, duration_s=90.0) <= high
    assert there == (way == "open")


def test_a_target_that_never_answers_holds_nothing_back():
    async def main(loop):
        left = []

        async def send(n, wanted):
            left.append(loop.time() - wanted)
            await asyncio.sleep(100)

        await at_their_times([loop.time() + i / 1000 for i in range(500)], send, clock=loop.time, stopping=never)
        return left

    left = in_virtual_time(main)
    assert len(left) == 500
    assert max(left) < 0.002


def test_whoever_stops_it_waits_for_nothing():
    async def main(loop):
        begun, ended = [], []

        async def send(n, _wanted):
            begun.append(n)
            await asyncio.sleep(60)
            ended.append(n)

        start = loop.time()
        times = [start + i for i in range(100)]
        await at_their_times(times, send, clock=loop.time, stopping=lambda: loop.time() >= start + 10)
        return len(begun), ended, loop.time() - start

    begun, ended, took_s = in_virtual_time(main)
    assert begun == 10
    assert ended == []
    assert took_s < 11


def test_what_is_in_flight_ends_when_there_is_enough():
    async def main(loop):
        ended = []

        async def send(n, _wanted):
            await asyncio.sleep(5)
            ended.append(n)

        times = [loop.time() + i for i in range(100)]
        await at_their_times(times, send, clock=loop.time, stopping=never, enough=lambda: len(ended) >= 3)
        return ended

    ended = in_virtual_time(main)
    assert ended == list(range(len(ended)))
    assert 3 < len(ended) < 12


def test_a_bug_is_not_swallowed():
    async def main(loop):
        async def send(n, _wanted):
            await asyncio.sleep(1)
            if n == 2:
                raise RuntimeError("a bug")

        await at_their_times([loop.time()] * 5, send, clock=loop.time, stopping=never)

    with pytest.raises(ExceptionGroup) as group:
        in_virtual_time(main)
    assert [str(error) for error in group.value.exceptions] == ["a bug"]


def test_the_stall_is_in_the_truth():
    assert known("latency_s", 0.99, stalls=True) > STALL_S - 0.3 > 2 * known("latency_s", 0.99, stalls=False)
