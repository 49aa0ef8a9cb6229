"""One timer for many calls keeps each of their deadlines, as `asyncio.timeout` would."""

import asyncio

import pytest

from mlaas_lab.inference.deadline import Deadlines


def test_each_call_has_its_own_time():
    async def main():
        deadlines, loop = Deadlines(0.2), asyncio.get_running_loop()

        async def call(after_s, takes_s):
            await asyncio.sleep(after_s)
            started = loop.time()
            try:
                with deadlines.start() as deadline:
                    assert deadline.left_s <= 0.2
                    await asyncio.sleep(takes_s)
                return "answered", loop.time() - started
            except TimeoutError:
                return "late", loop.time() - started

        plan = [(0, 9), (0.05, 0.01), (0.1, 9), (0.15, 0.1), (0.3, 9), (0.6, 0.1)]
        got = await asyncio.gather(*(call(*times) for times in plan))
        assert [how for how, _ in got] == ["late", "answered", "late", "answered", "late", "answered"]
        assert all(0.19 < took < 0.4 for how, took in got if how == "late")
        assert deadlines._running == {}

    asyncio.run(main())


def test_the_task_goes_on_after_a_late_call():
    async def main():
        deadlines = Deadlines(0.05)
        for _ in range(3):
            with pytest.raises(TimeoutError), deadlines.start():
                await asyncio.sleep(9)
        await asyncio.sleep(0.1)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_somebody_elses_cancel_wins():
    async def main():
        deadlines = Deadlines(0.05)

        async def call():
            with deadlines.start() as deadline:
                try:
                    await asyncio.sleep(9)
                finally:
                    deadline.expire()

        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_other_errors_pass():
    async def main():
        deadlines = Deadlines(9)
        with pytest.raises(KeyError), deadlines.start():
            raise KeyError
        deadlines.close()

    asyncio.run(main())
