"""A target is slowed down before its vendor says 429, and as a whole after it did. Time is the loop's, moved by hand."""

import asyncio

import pytest

from mlaas_lab.errors import UsageError
from mlaas_lab.inference import resolve
from mlaas_lab.inference.pace import BURST_S, Pace
from mlaas_lab.inference.words import pace


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self):
        super().__init__()
        self.moved_s = 0.0
        inner = self._selector.select

        def select(timeout):
            if timeout:
                self.moved_s += timeout
            return inner(0)

        self._selector.select = select

    def time(self):
        return self.moved_s


def on(work):
    loop = Loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def left_at(pace, n, *, at_once=1000, used=None):
    """When each of `n` calls may leave, of which so many are under way at once."""
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(at_once)

    async def one():
        async with turns:
            reserved = await pace.turn(size_bytes=400, max_tokens=100)
            at = loop.time()
            await asyncio.sleep(0.5)
            if used is not None:
                pace.settle(reserved, used)
            return at

    return sorted(await asyncio.gather(*(one() for _ in range(n))))


@pytest.mark.parametrize("rpm", [30, 60, 600])
def test_no_minute_holds_more_requests_than_allowed(rpm):
    times = on(left_at(Pace(rpm=rpm), 4 * rpm))
    burst = 1 + rpm * BURST_S / 60
    for n, at in enumerate(times):
        within = sum(at <= other < at + 60 for other in times[n:])
        assert within <= rpm + burst
    # Nothing is wasted either.
    assert times[-1] <= 4 * 60


def test_tokens_are_allowed_by_what_answers_really_use():
    n, used = 400, 50
    times = on(left_at(Pace(tpm=6000), n, at_once=8, used=used))
    for i, at in enumerate(times[8:], 8):
        within = sum(at <= other < at + 60 for other in times[i:])
        assert within * used <= 6000 * 1.2
    assert times[-1] < n * used / 6000 * 60 * 1.2 + 60


def test_after_a_429_nobody_asks_for_as_long_as_the_vendor_said():
    async def scene():
        pace = Pace()
        loop = asyncio.get_running_loop()
        pace.hold(7.5)
        await pace.turn(size_bytes=1, max_tokens=1)
        return loop.time()

    assert on(scene()) == pytest.approx(7.5)


def test_no_limit_is_no_wait():
    assert on(left_at(Pace(), 100))[-1] == 0.0


def test_control_without_a_pace_a_minute_holds_all_of_them(monkeypatch):
    monkeypatch.setattr(Pace, "_next", lambda self, now, reserved: now)
    assert on(left_at(Pace(rpm=30), 120))[-1] == 0.0


def test_words_of_a_target(settings):
    route = resolve("openai/m?base_url=http://127.0.0.1:1/v1&rpm=60&tpm=9000", settings)
    assert pace(route.target) == (60, 9000)
    assert pace(resolve("echo/m", settings).target) == (None, None)


@pytest.mark.parametrize("text", ["0", "-1", "many", "inf", "nan"])
def test_what_is_no_pace(text, settings):
    with pytest.raises(UsageError, match="rpm must be a number"):
        pace(resolve(f"openai/m?base_url=http://127.0.0.1:1/v1&rpm={text}", settings).target)
