"""Calls that are made side by side until all are over, one of them is a bug, or somebody stops them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

LOOK_S = 0.2
"""How often somebody looks whether to stop, in seconds."""


async def side_by_side(workers: Iterable["asyncio.Future[Any]"], stopping: Callable[[], bool]) -> None:
    """Wait for `workers`; whatever happens, none of them is left.

    Raises:
        Exception: what the first of them raises; the others are cancelled.
    """
    every = set(workers)
    left = set(every)
    try:
        while left and not stopping():
            done, left = await asyncio.wait(left, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
    finally:
        for worker in every:
            worker.cancel()
        await asyncio.gather(*every, return_exceptions=True)
