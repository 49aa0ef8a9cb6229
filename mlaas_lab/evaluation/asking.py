"""Asking every target every question, side by side, with exactly one record for each.

Targets are kept abreast: what drifts while an evaluation runs (load, a vendor's bad minute) then meets all of them
alike. That costs no time, since the slowest one decides when it is over. Questions come in a random order, so that what
is there after a stop is a fair part. Under a cap on money a question is asked of all targets or of none: what it may
cost them all is held before the first of them is asked. Scores are given while other answers are awaited.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mlaas_lab.errors import CallError, CapReached, one_line, snake
from mlaas_lab.evaluation.asides import Asides
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.recording import answered, failed
from mlaas_lab.evaluation.side_by_side import side_by_side
from mlaas_lab.evaluation.spendings import Item, item
from mlaas_lab.inference import Client, Route
from mlaas_lab.ledger import MICRO, Kind
from mlaas_lab.pricing import cost
from mlaas_lab.schema import Record
from mlaas_lab.view.formats import usd

AHEAD = 4
"""How far a target may be ahead of the slowest one, in rounds of its concurrency."""
STOP_S = 5.0
"""How long calls may take to end once they are cancelled, in seconds."""

Row = tuple[int, int]
"""Place of a sample, and which repeat: what all targets are asked."""
Part = tuple[int, int]
"""What a call may cost at most, and what judging its answer will likely cost, in micro-dollars."""


@dataclass(kw_only=True)
class _Lane:
    """What one target is still to be asked."""

    target: str
    route: Route
    meter: Meter
    item: Item | None
    """What its calls are charged as."""
    concurrency: int
    left: dict[Unit, None]
    """Asked or not, without a record so far."""
    waiting: Iterator[Unit] = field(default_factory=lambda: iter(()))
    begun: float = 0
    """Calls begun; infinite once there are no more."""


@dataclass(kw_only=True)
class _Hold:
    """What is held for a row, by the place of each target that has not taken its part."""

    parts: dict[int, Part]
    given: asyncio.Future[bool] | None = None
    """Whether there was money; None: there was, at once."""


@dataclass(kw_only=True)
class Asking:
    """One evaluation's calls; `run` on an event loop, then `unasked` for what was never answered."""

    plan: Plan
    keep: Callable[[Unit, Record], None]
    """Called with each record, on the loop."""
    stopping: Callable[[], bool]
    done: Collection[Unit] = frozenset()
    """What has its record already."""
    budget: Budget = field(default_factory=Budget)
    ends: Sequence[int] = ()
    """After how many samples somebody looks whether that is enough; by default nobody does."""
    enough: Callable[[Collection[int]], bool] = lambda _asked: False
    """Whether these samples, by their places, are enough; called in a thread, while nobody is asked."""
    asked: set[int] = field(init=False, default_factory=set)
    """Places of the samples that were asked, up to the last look."""
    decided: bool = field(init=False, default=False)
    """They were enough, and the others are not asked."""
    capped: int | None = field(init=False, default=None)
    """What the first question that there was no money for might have cost, in micro-dollars."""
    _lanes: list[_Lane] = field(init=False, default_factory=list)
    _asides: Asides = field(init=False)
    _holds: dict[Row, _Hold] = field(init=False, default_factory=dict)
    _holding: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    """Rows are held for one after the other, so that no shorter question overtakes a longer one when money runs out."""
    _moved: asyncio.Event | None = field(init=False, default=None)
    """Set by the next call that begins, while a target waits for the others."""
    _ended: threading.Event = field(init=False, default_factory=threading.Event)
    _blocks: list[list[Row]] = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self._asides = Asides(plan)
        self._blocks = _blocks(plan, self.ends or [len(plan.samples)])
        for target, route in plan.routes.items():
            units = (Unit(target, *row) for block in self._blocks for row in block)
            self._lanes.append(
                _Lane(
                    target=target,
                    route=route,
                    meter=Meter(route, plan.params, retries=plan.limits.retries, book=plan.prices),
                    item=item(Kind.API, route.target, target),
                    concurrency=plan.limits.concurrency or route.concurrency,
                    left=dict.fromkeys(unit for unit in units if unit not in self.done),
                )
            )

    async def run(self) -> None:
        """Ask until every unit has its record, those asked are enough, the money is used up, or somebody stops it.

        Raises:
            Exception: a bug, or what no other target could do better (a missing library); calls that fail are records.
        """
        try:
            async with self.budget, Client(self.plan.limits, keep_exchanges=self.plan.exchanges) as client:
                self.budget.put_aside(self._asides.room)
                for block in self._blocks:
                    await self._through(client, block)
                    if self.stopping() or self.capped is not None:
                        break
                    self.asked.update(place for place, _ in block)
                    if block is not self._blocks[-1] and await asyncio.to_thread(self.enough, self.asked):
                        self.decided = True
                        break
        finally:
            self._ended.set()

    def unasked(self) -> Iterator[Record]:
        """A record for each unit that was to be asked; waits until `run`, cancelled from another thread, has ended."""
        self._ended.wait(STOP_S)
        if self.decided:
            return
        error, told = "cancelled", "The job was stopped before this was answered."
        if self.capped is not None and not self.stopping():
            most = usd(self.capped / MICRO)
            error = snake(CapReached.__name__)
            told = f"Not asked: with every target and retry a question may cost {most}, and less is left."
        for lane in self._lanes:
            for unit in lane.left:
                yield failed(self.plan, unit, error, told)

    async def _through(self, client: Client, rows: Sequence[Row]) -> None:
        """Ask all targets `rows`, as far as they have no record."""
        for lane in self._lanes:
            units = (Unit(lane.target, *row) for row in rows)
            lane.waiting, lane.begun = iter([unit for unit in units if unit in lane.left]), 0
        workers = [
            asyncio.ensure_future(self._work(client, place))
            for place, lane in enumerate(self._lanes)
            for _ in range(lane.concurrency)
        ]
        await side_by_side(workers, self.stopping)

    async def _work(self, client: Client, place: int) -> None:
        lane = self._lanes[place]
        for unit in lane.waiting:
            await self._turn(lane)
            held = (0, 0) if self.budget.cap is None else await self._held(unit, place)
            if held is None:
                break
            record = await self._ask(client, lane, unit)
            self._settle(lane, held, record)
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

    def _settle(self, lane: _Lane, held: Part, record: Record) -> None:
        """What `record` cost is spent; what judging it may cost stays aside, if there is an answer."""
        attempts = record.completion.attempts if record.completion else record.attempts
        call, judging = held
        paid, known = lane.meter.paid(call, attempts, record.cost)
        self.budget.settle(call, paid, known=known, item=lane.item, cost=record.cost)
        if judging:
            self.budget.put_aside(judging if record.completion else 0, held=judging)

    async def _held(self, unit: Unit, place: int) -> Part | None:
        """What is held for `unit`; None when there is no money for its row."""
        row = unit.place, unit.repeat
        hold = self._holds.get(row)
        if hold is None:
            hold = self._holds[row] = _Hold(parts=self._parts(row))
            most = sum(map(sum, hold.parts.values()))
            if self.capped is not None or self._holding.locked() or not self.budget.take(most):
                hold.given = given = asyncio.get_running_loop().create_future()
                async with self._holding:
                    if self.capped is None and not await self.budget.reserve(most):
                        self.capped = most
                    given.set_result(self.capped is None)
        if hold.given is not None and not await hold.given:
            return None
        part = hold.parts.pop(place)
        if not hold.parts:
            del self._holds[row]
        return part

    def _parts(self, row: Row) -> dict[int, Part]:
        """What `row` may cost each target that is still to be asked."""
        return {
            place: (lane.meter.most(self.plan.shown(unit).messages), self._asides.of(unit))
            for place, lane in enumerate(self._lanes)
            if (unit := Unit(lane.target, *row)) in lane.left
        }

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


def _blocks(plan: Plan, ends: Sequence[int]) -> list[list[Row]]:
    """Rows in a random order, in blocks that end after so many samples; within each, one repeat after another."""
    generator = random.Random(plan.seed)  # noqa: S311 - no secret
    places = list(range(len(plan.samples)))
    generator.shuffle(places)
    blocks: list[list[Row]] = []
    for begin, end in pairwise([0, *ends]):
        part, block = places[begin:end], list[Row]()
        for repeat in range(plan.repeats):
            block += [(place, repeat) for place in part]
            generator.shuffle(part)
        blocks.append(block)
    return blocks
