"""One background event loop: what is async inside is one synchronous function outside, in a kernel too."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from functools import cache
from typing import Any, TypeVar

Result = TypeVar("Result")

_starting = threading.Lock()


def on_loop(
    work: Coroutine[Any, Any, Result], *, meanwhile: Callable[[], None] | None = None, every_s: float = 0.1
) -> Result:
    """Run `work` on the background loop, wait for it, and return what it returns or raise what it raises.

    An interrupt of the waiting thread returns at once and cancels `work`.

    Args:
        work: what to run.
        meanwhile: called in the waiting thread while it waits, for a display that grows.
        every_s: how often.
    """
    loop = background()
    if threading.current_thread().name == _name(os.getpid()):
        work.close()
        raise RuntimeError("on_loop was called from its own loop, which would wait for itself")
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        # In turns, without anything to do as well: a signal that another thread took is seen at the next one only.
        while not wait([future], timeout=every_s).done:
            if meanwhile is not None:
                meanwhile()
        return future.result()
    finally:
        # Of what has ended, this changes nothing.
        future.cancel()


def background() -> asyncio.AbstractEventLoop:
    """The loop, started when it is first needed."""
    with _starting:
        return _running(os.getpid())


@cache
def _running(pid: int) -> asyncio.AbstractEventLoop:
    """The loop of process `pid`: a forked child has none of its parent's threads."""
    loop = _quickest()
    threading.Thread(target=loop.run_forever, name=_name(pid), daemon=True).start()
    return loop


def _quickest() -> asyncio.AbstractEventLoop:
    """uvloop's, which costs a call less; asyncio's own where there is none (Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _name(pid: int) -> str:
    return f"mlaas inference {pid}"
