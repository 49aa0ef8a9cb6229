"""Answers that the same content gave to the same question before, in whatever evaluation it was.

The key is what decides an answer: the weights behind the target, every parameter and turn as they stand on the wire,
and which repeat it is. Only what is certain is kept: no error, and nothing that was sampled. A row that was taken over
says when it was really answered. This file knows what an answer is; how answers are stored it does not.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import orjson

from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.recording import answered
from mlaas_lab.schema import Attempt, Completion, Cost, Record, Usage
from mlaas_lab.store.completions import NAME, Completions
from mlaas_lab.wires import Prompt

WRITE_S = 0.5
"""How often new answers are written, in seconds."""


class Cache:
    """The answers one evaluation takes over, and those it leaves for others; as `with Cache(...) as cache`."""

    def __init__(self, plan: Plan, folder: Path, note: Callable[[str], None]) -> None:
        """`folder` is where the cache lies; `note` hears why it is done without, if it is."""
        self._plan = plan
        self._keys: dict[Unit, bytes] = {}
        """Of what has no answer yet."""
        self._new: SimpleQueue[tuple[bytes, Record]] = SimpleQueue()
        self._over = threading.Event()
        self._writing: threading.Thread | None = None
        self._store = Completions(folder / NAME, note=note) if any(_cacheable(plan, t) for t in plan.routes) else None

    def find(self, done: Collection[Unit]) -> Iterator[tuple[Unit, Record]]:
        """The records of units not in `done` that are there, each unit once."""
        if self._store is None:
            return
        self._keys = {unit: key(self._plan, unit) for unit in self._askable() if unit not in done}
        found = self._store.find(self._keys.values()) if self._plan.cache else {}
        for unit, name in list(self._keys.items()):
            kept = kept_as(found[name]) if name in found else None
            if kept is not None:
                del self._keys[unit]
                completion, cost = kept
                yield unit, answered(self._plan, unit, completion, cost, cached_at=completion.attempts[-1].ended_at)

    def keep(self, unit: Unit, record: Record) -> None:
        """Leave an answer for later evaluations; returns at once, and ignores what is not to be kept."""
        name = self._keys.pop(unit, None)
        if name is not None and record.completion is not None:
            self._new.put((name, record))

    def __enter__(self) -> Self:
        if self._store is not None:
            self._writing = threading.Thread(target=self._write, args=(self._store,), name="mlaas cache", daemon=True)
            self._writing.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        if self._writing is not None:
            self._writing.join()
        if self._store is not None:
            self._store.close()

    def _askable(self) -> Iterator[Unit]:
        lasting = {target for target in self._plan.routes if _cacheable(self._plan, target)}
        return (unit for unit in self._plan.units() if unit.target in lasting)

    def _write(self, store: Completions) -> None:
        over = False
        while not over:
            over = self._over.wait(WRITE_S)
            if batch := dict(self._waiting()):
                store.keep(batch)

    def _waiting(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            try:
                name, record = self._new.get_nowait()
            except Empty:
                return
            if record.completion is not None:
                yield name, to_keep(record.completion, record.cost)


def key(plan: Plan, unit: Unit) -> bytes:
    """SHA-256 over all that decides the answer of `unit`, 32 bytes."""
    route = plan.routes[unit.target]
    # The model's name is only that of the endpoint: what it serves is in the plan's contents.
    prompt = Prompt(model="", messages=plan.shown(unit).messages)
    body = route.api.wire.body(prompt, route.params(plan.params), plan.stream)
    decides = [plan.contents[unit.target], body, unit.repeat]
    return hashlib.sha256(orjson.dumps(decides, option=orjson.OPT_SORT_KEYS)).digest()


def _cacheable(plan: Plan, target: str) -> bool:
    """Whether the same question will surely get the same answer: known weights, and nothing sampled."""
    return plan.contents.get(target) is not None and plan.routes[target].params(plan.params).temperature == 0


def to_keep(done: Completion, paid: Cost) -> bytes:
    """An answer and its price as they are kept."""
    return orjson.dumps({"completion": replace(done, exchange=None), "cost": paid}, default=str)


def kept_as(value: bytes) -> tuple[Completion, Cost] | None:
    """An answer as it was kept; None if another version wrote it in another form."""
    try:
        kept: Any = orjson.loads(value)
        done, cost = kept["completion"], kept["cost"]
        attempts = tuple(Attempt(**attempt) for attempt in done["attempts"])
        completion = Completion(**{**done, "usage": Usage(**done["usage"]), "attempts": attempts})
        usd = None if cost["usd"] is None else Decimal(cost["usd"])
        return completion, Cost(**{**cost, "usd": usd})
    except (ValueError, ArithmeticError, LookupError, TypeError):
        return None
