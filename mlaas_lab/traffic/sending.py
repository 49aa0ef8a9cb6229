"""Sending at the times that were decided, whatever is outstanding; or so many at once, each after an answer.

It knows neither targets nor records, and takes its clock from whoever calls it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

Send = Callable[[int, float], Coroutine[Any, Any, None]]
"""Sends request n, wanted at that time by the clock, and returns when it is over."""
LOOK_S = 0.2
"""How soon a wish to stop is seen."""
BURST = 8
"""Requests that are begun at one go when we are late; then answers that wait are read."""


async def at_their_times(
    times: Sequence[float],
    send: Send,
    *,
    clock: Callable[[], float],
    stopping: Callable[[], bool],
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Begin request n at `times[n]`, by `clock`, and wait until all are over.

    Args:
        times: ascending.
        send: sends one.
        clock: seconds.
        stopping: somebody wants an end: requests in flight are cancelled.
        enough: nothing more is to be sent; requests in flight may end.

    Raises:
        ExceptionGroup: a bug of `send`.
    """
    running: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        for n, at in enumerate(times):
            await _until(at, n, clock, stopping)
            if stopping() or enough():
                break
            task = group.create_task(send(n, at))
            running.add(task)
            task.add_done_callback(running.discard)
        await _drained(running, stopping)


async def so_many_at_once(
    concurrency: int,
    send: Send,
    *,
    clock: Callable[[], float],
    over: Callable[[int], bool],
    stopping: Callable[[], bool],
) -> None:
    """Keep `concurrency` requests in flight until `over(n)` is true of the next, n from 0; wait until all are over.

    Raises:
        ExceptionGroup: a bug of `send`.
    """
    begun = 0

    async def work() -> None:
        nonlocal begun
        while not over(begun) and not stopping():
            n, begun = begun, begun + 1
            await send(n, clock())

    async with asyncio.TaskGroup() as group:
        running = {group.create_task(work()) for _ in range(concurrency)}
        for task in running.copy():
            task.add_done_callback(running.discard)
        await _drained(running, stopping)


async def _until(at: float, n: int, clock: Callable[[], float], stopping: Callable[[], bool]) -> None:
    """Wait until `at`, or somebody wants an end."""
    wait_s = at - clock()
    if wait_s <= 0 and n % BURST == 0:
        await asyncio.sleep(0)
    while wait_s > 0 and not stopping():
        await asyncio.sleep(min(wait_s, LOOK_S))
        wait_s = at - clock()


async def _drained(running: set[asyncio.Task[None]], stopping: Callable[[], bool]) -> None:
    while running:
        if stopping():
            for task in running.copy():
                task.cancel()
            return
        await asyncio.wait(running.copy(), timeout=LOOK_S, return_when=asyncio.ALL_COMPLETED)
