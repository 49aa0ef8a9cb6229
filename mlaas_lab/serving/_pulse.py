"""How a server that runs is doing, by asking it for a token again and again.

A health route stays green while the model hangs, and a server with long work is not hung: what decides is a token, and
where none comes in time, whether the server computes at all.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from mlaas_lab.schema import EndpointState, Work
from mlaas_lab.serving import Place
from mlaas_lab.serving._counted import Tokens
from mlaas_lab.serving._health import Load, NotListening, Refused, load, one_token

LOOK = 0.1
"""Part of an interval that asking for the load may take, before and after the token."""
TOKEN = 0.8
"""Part of an interval that the token may take; so a hung server is known before the second interval ends."""


class Pulse:
    """Looks at one server every `every_s` seconds, in a thread."""

    def __init__(self, place: Place, every_s: float) -> None:
        """The first look comes after one interval."""
        self._place = place
        self._every_s = every_s
        self._next_at = time.monotonic() + every_s
        self._turn = 0
        self._pool = ThreadPoolExecutor(1)
        self._looking: Future[EndpointState] | None = None
        self.work: Work | None = None
        """What the server did at the last look; None before it, and where it does not tell."""
        self._tokens = Tokens(self._pool.submit(self._load))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def found(self, models: Sequence[str]) -> EndpointState | None:
        """What a look has found since the last call, of one of `models` in turn; None: nothing new."""
        if self._looking is not None and self._looking.done():
            state, self._looking = self._looking.result(), None
            return state
        if self._looking is None and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + self._every_s
            self._turn += 1
            self._looking = self._pool.submit(self._look, models[self._turn % len(models)])
        return None

    def postpone(self) -> None:
        """Begin a new interval: the server had other work, at our own wish."""
        self._next_at = time.monotonic() + self._every_s

    def _look(self, model: str) -> EndpointState:
        before = self._load()
        self.work = None if before is None else self._tokens.work(before)
        try:
            ours = one_token(self._place.base_url, model, timeout_s=self._every_s * TOKEN, key=self._place.launch.key)
            self._tokens.leave_out(model, ours)
        except NotListening:
            return self._silent(before)
        except Refused as error:
            return self._silent(before) if error.overloaded else EndpointState.SICK
        return EndpointState.BUSY if before is not None and before.running > 0 else EndpointState.READY

    def _silent(self, before: Load | None) -> EndpointState:
        """What it means that no token came."""
        after = self._load() if before is not None else None
        computes = before is not None and after is not None and after.done > before.done
        return EndpointState.BUSY if computes else EndpointState.SICK

    def _load(self) -> Load | None:
        """None where the server does not tell."""
        launch = self._place.launch
        if launch.activity is None:
            return None
        try:
            return load(self._place.base_url, launch.activity, timeout_s=self._every_s * LOOK, key=launch.key)
        except (NotListening, Refused):
            return None
