"""Replies that a judge gave to the same question before, in whatever evaluation it was.

The same rule as for answers of targets: what stands behind the judge is known, nothing was sampled, and the reply could
be read; nothing else is kept. A reply that was taken over is not paid again.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from mlaas_lab.evaluation.caching import kept_as, to_keep
from mlaas_lab.evaluation.plan import Plan
from mlaas_lab.inference import Params
from mlaas_lab.schema import JSON, Completion, Cost, Message
from mlaas_lab.store.completions import NAME, Completions
from mlaas_lab.wires import Prompt

BATCH = 100
"""Replies that are written together."""


class Replies:
    """The replies that one evaluation takes over, and those it leaves for others; as `with Replies(...) as replies`."""

    def __init__(self, plan: Plan, folder: Path, note: Callable[[str], None]) -> None:
        """`folder` is where the cache lies; `note` hears why it is done without, if it is."""
        self._plan = plan
        self._new: dict[bytes, bytes] = {}
        known = any(plan.contents.get(metric) is not None for metric in plan.judges)
        self._store = Completions(folder / NAME, note=note) if known else None

    def key(self, metric: str, messages: Sequence[Message], params: Params, nth: int) -> bytes | None:
        """SHA-256 over all that decides the `nth` reply to `messages`, 32 bytes; None where nobody can vouch for it."""
        route, content = self._plan.judges[metric], self._plan.contents.get(metric)
        params = route.params(params)
        if content is None or params.temperature != 0:
            return None
        # The model's name is only that of the endpoint: what it serves is in the plan's contents.
        body = route.api.wire.body(Prompt(model="", messages=tuple(messages)), params, False)
        return hashlib.sha256(_encoded(["judge", content, body, nth])).digest()

    def find(self, key: bytes | None) -> tuple[Completion, Cost] | None:
        """The reply and what it cost then; None if it must be asked for."""
        if key is None or self._store is None or not self._plan.cache:
            return None
        found = self._store.find([key]).get(key)
        return None if found is None else kept_as(found)

    def keep(self, key: bytes | None, done: Completion, paid: Cost) -> None:
        """Leave a reply for later evaluations."""
        if key is not None:
            self._new[key] = to_keep(done, paid)
            if len(self._new) >= BATCH:
                self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._write()
        if self._store is not None:
            self._store.close()

    def _write(self) -> None:
        if self._store is not None and self._new:
            self._store.keep(self._new)
        self._new = {}


def _encoded(decides: list[JSON]) -> bytes:
    return orjson.dumps(decides, option=orjson.OPT_SORT_KEYS)
