"""Waiting out what is temporary: a supervisor whose disk is full pauses, and goes on when there is room again.

    self.store = patient(Store(path), told=self.note, given_up=lambda: self.stopping)

It knows no operation of the store by name.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from mlaas_lab.errors import StoreError
from mlaas_lab.store import Store

EVERY_S = 2.0
"""How often a full disk is asked again."""

T = TypeVar("T")


def patiently(
    act: Callable[[], T], *, every_s: float = EVERY_S, told: Callable[[StoreError], None], given_up: Callable[[], bool]
) -> T:
    """What `act` returns, tried again every `every_s` seconds for as long as what is wrong is temporary.

    `told` hears of the first refusal only; once `given_up()` is true the next one is final.

    Raises:
        StoreError: if it is not temporary, or nobody wants to wait any longer.
    """
    first = True
    while True:
        try:
            return act()
        except StoreError as error:
            if not error.temporary or given_up():
                raise
            if first:
                told(error)
            first = False
        time.sleep(every_s)


def patient(
    store: Store, *, every_s: float = EVERY_S, told: Callable[[StoreError], None], given_up: Callable[[], bool]
) -> Store:
    """`store`, each of whose methods waits as `patiently` does; a refused one left nothing, so it may be done again."""
    return cast("Store", _Patient(store, partial(patiently, every_s=every_s, told=told, given_up=given_up)))


class _Patient:
    """Stands before a store."""

    def __init__(self, store: Store, wait: Callable[[Callable[[], Any]], Any]) -> None:
        self._store, self._wait = store, wait

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method
        return lambda *words, **options: self._wait(partial(method, *words, **options))
