"""What several panels ask of the same records is worked out once, while one picture is drawn.

Nothing is kept longer: a table may be changed in place, and a number that was right a minute ago is wrong then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import polars as pl

Found = TypeVar("Found")
_kept: ContextVar[dict[Any, Any] | None] = ContextVar("mlaas_shared", default=None)


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


def shared(function: Callable[[Any], Found]) -> Callable[[Any], Found]:
    """A function of a table, asked once where results are shared."""

    @wraps(function)
    def once(frame: Any) -> Found:
        kept = _kept.get()
        if kept is None:
            return function(frame)
        # A table and its query are one and the same.
        table = lazily(frame) if isinstance(frame, pl.DataFrame) and once is not lazily else frame
        key = function, id(table)
        if key not in kept:
            # The table is held too, so that no other one takes its id.
            kept[key] = frame, function(frame)
        found: Found = kept[key][1]
        return found

    return once


@shared
def lazily(frame: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """The table as one query, the same one for all who share."""
    return frame.lazy()
