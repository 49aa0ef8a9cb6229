"""Asking every target every question, side by side, with exactly one record for each.

Targets are kept abreast: what drifts while an evaluation runs (load, a vendor's bad minute) then meets all of them
alike. That costs no time, since the slowest one decides when it is over. Questions come in a random order, so that what
is there after a stop is a fair part. Scores are given while other answers are awaited.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from mlaas_lab.errors import CallError, one_line, snake
from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.recording import answered, failed
from mlaas_lab.inference import Client, Route
from mlaas_lab.pricing import cost
from mlaas_lab.schema import Record

AHEAD = 4
"""How far a target may be ahead of the slowest one, in rounds of its concurrency."""
LOOK_S = 0.2
"""How often somebody looks whether to stop, in seconds."""
STOP_S = 5.0
"""How long calls may take to end once they are cancelled, in seconds."""


@dataclass(kw_only=True)
class _Lane:
    """What one target is still to be asked."""

    route: Route
    concurrency: int
    waiting: Iterator[Unit]
    left: dict[Unit, None]
    """Asked or not, without a record so far."""
    begun: float = 0
    """Calls begun; infinite once there are no more."""


@dataclass(kw_only=True)
class Asking:
    """One evaluation's calls; `run` on an event loop, then `cancelled` for what was never answered."""

    plan: Plan
    keep: Callable[[Unit, Record], None]
    """Called with each record, on the loop."""
    stopping: Callable[[], bool]
    done: Collection[Unit] = frozenset()
    """What has its record already."""
    _lanes: list[_Lane] = field(init=False, default_factory=list)
    _moved: asyncio.Event | None = field(init=False, default=None)
    """Set by the next call that begins, while a target waits for the others."""
    _ended: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        order = _order(self.plan)
        for target, route in self.plan.routes.items():
            units = [Unit(target, *one) for one in order]
            left = dict.fromkeys(unit for unit in units if unit not in self.done)
            concurrency = self.plan.limits.concurrency or route.concurrency
            self._lanes.append(_Lane(route=route, concurrency=concurrency, waiting=iter(list(left)), left=left))

    async def run(self) -> None:
        """Ask until every unit has its record, or somebody stops it.

        Raises:
            Exception: a bug, or what no other target could do better (a missing library); calls that fail are records.
        """
        async with Client(self.plan.limits, keep_exchanges=self.plan.exchanges) as client:
            workers = [
                asyncio.ensure_future(self._work(client, lane)) for lane in self._lanes for _ in range(lane.concurrency)
            ]
            try:
                await self._watch(set(workers))
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                self._ended.set()

    def cancelled(self) -> Iterator[Record]:
        """A record for each unit that has none; waits until `run`, cancelled from another thread, has ended."""
        self._ended.wait(STOP_S)
        for lane in self._lanes:
            for unit in lane.left:
                yield failed(self.plan, unit, "cancelled", "The job was stopped before this was answered.")

    async def _watch(self, workers: set[asyncio.Future[None]]) -> None:
        while workers and not self.stopping():
            done, workers = await asyncio.wait(workers, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()

    async def _work(self, client: Client, lane: _Lane) -> None:
        for unit in lane.waiting:
            await self._turn(lane)
            record = await self._ask(client, lane, unit)
            del lane.left[unit]
            self.keep(unit, record)
        self._set(lane, float("inf"))

    async def _ask(self, client: Client, lane: _Lane, unit: Unit) -> Record:
        plan, route = self.plan, lane.route
        try:
            done = await client.complete(route, plan.shown(unit).messages, plan.params, stream=plan.stream)
        except CallError as error:
            return failed(plan, unit, snake(type(error).__name__), one_line(error), error)
        at = done.attempts[-1].ended_at
        paid = cost(route.place, done.usage, at=at, book=plan.prices, answered=done.model)
        return answered(plan, unit, done, paid)

    async def _turn(self, lane: _Lane) -> None:
        """Wait while this target is far ahead of the slowest one."""
        while lane.begun - min(other.begun for other in self._lanes) >= AHEAD * lane.concurrency:
            self._moved = self._moved or asyncio.Event()
            await self._moved.wait()
        self._set(lane, lane.begun + 1)

    def _set(self, lane: _Lane, begun: float) -> None:
        lane.begun = begun
        if self._moved is not None:
            self._moved.set()
            self._moved = None


def _order(plan: Plan) -> list[tuple[int, int]]:
    """Every sample in a random order, then every one again for each further repeat: place and repeat."""
    generator = random.Random(plan.seed)  # noqa: S311 - no secret
    places = list(range(len(plan.samples)))
    order: list[tuple[int, int]] = []
    for repeat in range(plan.repeats):
        generator.shuffle(places)
        order += [(place, repeat) for place in places]
    return order
