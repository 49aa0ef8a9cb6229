"""The calls of a load test: each from the time at which it was wanted to its record.

Money is held before a call is sent and settled after it. In an open loop nobody waits for others to settle: that would
hold requests back which are due, so the load ends where the next one's worst case does not fit any more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mlaas_lab.errors import CallError, Overloaded, RateLimited, one_line, snake
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.inference import Client
from mlaas_lab.inference.attempt import now
from mlaas_lab.pricing import cost
from mlaas_lab.schema import Completion, Cost, Record, Usage
from mlaas_lab.traffic.plan import Party, Plan
from mlaas_lab.traffic.prompts import Ask, turn


@dataclass(kw_only=True)
class Calls:
    """Sends requests and hands out their records, in the order in which they end."""

    plan: Plan
    client: Client
    budget: Budget
    keep: Callable[[Record], None]
    """Called with each record, on the loop."""
    rate: float | None = None
    """Offered now."""
    first: int = 0
    """The request with which the present load begins: the nth of all."""
    begun: int = 0
    """Requests of the present load so far."""
    capped: bool = field(init=False, default=False)
    """The money was not enough for another."""

    async def send(self, n: int, wanted_at: float) -> None:
        """Request `n` of the present load, wanted at that UTC second."""
        self.begun = max(self.begun, n + 1)
        n += self.first
        ask = self.plan.prompts.ask(n)
        party = self.plan.parties[turn(n, len(self.plan.parties), self.plan.seed)]
        held = self.plan.most(party, ask) if self.budget.cap is not None else 0
        if self.capped or not await self._held(held):
            self.capped = True
            return
        self.keep(await self._record(party, ask, held, wanted_at))

    async def probe(self) -> float:
        """Ask each target once, for nobody's figures; the longest latency in seconds.

        Raises:
            CallError: if a target cannot be asked; one that is only busy can.
        """
        slowest_s = 0.0
        for place, party in enumerate(self.plan.parties):
            ask = self.plan.prompts.ask(-1 - place)
            held = self.plan.most(party, ask) if self.budget.cap is not None else 0
            if not await self.budget.reserve(held):
                self.capped = True
                break
            answer, _ = await self._asked(party, ask, held, [])
            if isinstance(answer, Completion):
                slowest_s = max(slowest_s, answer.latency_s)
            elif not isinstance(answer, RateLimited | Overloaded):
                raise answer
        return slowest_s

    async def _held(self, amount: int) -> bool:
        if self.budget.take(amount):
            return True
        # Room that is not written down yet is waited for; in an open loop, room that others hold is not.
        return (self.rate is None or self.budget.fits(amount)) and await self.budget.reserve(amount)

    async def _record(self, party: Party, ask: Ask, held: int, wanted_at: float) -> Record:
        arrived: list[float] = []
        answer, paid = await self._asked(party, ask, held, arrived)
        if isinstance(answer, CallError):
            return self._made(
                party,
                ask,
                wanted_at,
                completion=None,
                error=snake(type(answer).__name__),
                error_message=one_line(answer),
                attempts=answer.attempts,
                billed=_usage(answer),
                cost=paid,
            )
        gaps = tuple(after - before for before, after in pairwise(arrived)) if self.plan.stream else None
        return self._made(party, ask, wanted_at, completion=answer, cost=paid, gaps_s=gaps)

    async def _asked(
        self, party: Party, ask: Ask, held: int, arrived: list[float]
    ) -> tuple[Completion | CallError, Cost]:
        """What came back and what it cost, settled; `arrived` gets the time of each piece."""
        answer = None
        try:
            answer = await self._answer(party, ask, arrived)
        finally:
            if answer is None:
                # Stopped in flight: it may be billed.
                self.budget.settle(held, held, known=False, item=party.item)
        price = self._price(party, answer)
        paid, known = party.meter.paid(held, answer.attempts, price)
        self.budget.settle(held, paid, known=known, item=party.item, cost=price)
        return answer, price

    def _price(self, party: Party, answer: Completion | CallError) -> Cost:
        if not answer.attempts:
            return Cost(usd=None)
        model = answer.model if isinstance(answer, Completion) else None
        at = answer.attempts[-1].ended_at
        return cost(party.route.place, _usage(answer), at=at, book=self.plan.prices, answered=model)

    async def _answer(self, party: Party, ask: Ask, arrived: list[float]) -> Completion | CallError:
        plan = self.plan
        heard = (lambda _text: arrived.append(now())) if plan.stream else None
        try:
            return await self.client.complete(
                party.route, ask.messages, plan.params(ask), stream=plan.stream, on_delta=heard
            )
        except CallError as error:
            return error

    def _made(self, party: Party, ask: Ask, wanted_at: float, **found: Any) -> Record:
        route = party.route
        return Record(
            target=party.name,
            provider=route.target.provider,
            region=route.region,
            emulated=route.emulated,
            unchecked=route.unchecked,
            sample_id=ask.sample_id,
            repeat=ask.repeat,
            group=ask.group,
            messages=() if ask.made else ask.messages,
            reference=ask.reference,
            intended_at=wanted_at,
            offered_rate=self.rate,
            **found,
        )


def _usage(answer: Completion | CallError) -> Usage:
    return answer.usage or Usage()
