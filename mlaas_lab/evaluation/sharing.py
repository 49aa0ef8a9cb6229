"""What several panels ask of the same records is worked out once, while one picture is drawn.

Nothing is kept longer: a table may be changed in place, and a number that was right a minute ago is wrong then.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from typing import Any, TypeVar

import polars as pl

Found = TypeVar("Found")
THREADS = 3
"""One reckons, one reads, and one is there when either waits for what the other is at."""


@dataclass
class _Asked:
    """One question about one table."""

    table: Any
    """Held too, so that no other one takes its id."""
    answering: Lock = field(default_factory=Lock)
    found: list[Any] = field(default_factory=list)
    """The answer, once there is one."""


_kept: ContextVar[dict[Any, _Asked] | None] = ContextVar("mlaas_shared", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Inside, what `shared` functions find is found once for each table; the outermost of several counts."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def together(asks: Sequence[Callable[[], Found]]) -> list[Found]:
    """What independent questions find, in their order: while one is reckoned, another one's columns are read."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="mlaas panel") as threads:
        # What is shared here is shared there.
        return [one.result() for one in [threads.submit(copy_context().run, ask) for ask in asks]]


def shared(function: Callable[[Any], Found]) -> Callable[[Any], Found]:
    """A function of a table, asked once where results are shared; who asks meanwhile waits for the answer."""

    @wraps(function)
    def once(frame: Any) -> Found:
        kept = _kept.get()
        if kept is None:
            return function(frame)
        # A table and its query are one and the same.
        table = lazily(frame) if isinstance(frame, pl.DataFrame) and once is not lazily else frame
        asked = kept.setdefault((function, id(table)), _Asked(table))
        with asked.answering:
            if not asked.found:
                asked.found.append(function(frame))
        found: Found = asked.found[0]
        return found

    return once


@shared
def lazily(frame: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """The table as one query, the same one for all who share."""
    return frame.lazy()
