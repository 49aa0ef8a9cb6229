"""Money for calls: held before a call begins, settled once it is known what it cost, so that a cap is a cap.

What is spent and what is held for calls in flight never exceed the cap together. On disk stands an amount that is never
below the two, so that a kill forgets no call in flight: it grows in blocks and is written every 100 ms, and no call
waits for the disk while a block lasts. Where budgets of a day, a project or a notebook stand above the job, each block
is held there first. It knows amounts and names, not what is asked or why.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlaas_lab.errors import DataError, StoreError
from mlaas_lab.evaluation.spendings import Item, Spendings
from mlaas_lab.ledger import MICRO, Account
from mlaas_lab.ledger.account import room, told
from mlaas_lab.schema import Cost
from mlaas_lab.store.folder import read_json, write_json
from mlaas_lab.store.spending import Drawn, Wish

__all__ = ["MICRO", "Budget"]

SETTLE_S = 0.1
"""How often the amount on disk is brought up to date, in seconds."""
BOOK_S = 1.0
"""How often the ledger hears what was spent where no block is needed, in seconds."""
BLOCKS = 20
"""A block is at least this part of the cap: so much a kill may waste."""


class Budget:
    """What one job may spend on calls, over all its attempts; as `async with budget`, on one loop at a time."""

    def __init__(
        self, cap_usd: Decimal | None = None, path: Path | None = None, account: Account | None = None
    ) -> None:
        """Without `cap_usd` everything may be spent; at `path` stands what earlier attempts may have spent.

        Raises:
            UsageError: if a budget above the job is used up.
            StoreError: if the ledger of `account` cannot be used.
        """
        self.n_unknown = 0
        """Calls of which nobody knows the whole cost: under a cap each counts with the most that it may have been."""
        self._path, self._account = path, account
        self._spent = _kept(path)
        self._own = None if cap_usd is None else int(cap_usd * MICRO)
        above = None if account is None else account.left()
        caps = [self._own, None if above is None else self._spent + above]
        self.cap = min((cap for cap in caps if cap is not None), default=None)
        """In micro-dollars: the job's own, or what the budgets above it left when it began."""
        self._spendings = Spendings()
        """What the ledger has not heard of."""
        self._possible: int | None = None
        """The most that the budgets above let the job come to."""
        self._room: int | None = None
        """The same, while others hold what they hold now."""
        self._refused = False
        self._booked_at: float | None = None
        self._written: int | None = None
        self._held = 0
        self._aside = 0
        """For what comes later: nobody takes it before the end, and it is not in flight."""
        self._granted = self._spent
        """What stands on disk: nothing beyond it is begun."""
        self._used = self._spent
        """Spent and held when the last block was taken."""
        self._begun = self._spent > 0
        self._wanted, self._wants = asyncio.Event(), 0
        self._changed, self._waiting = asyncio.Event(), 0
        self._failed: DataError | None = None
        self._settling: asyncio.Task[None] | None = None
        self._over = False
        self._users = 0
        """One may use it within another's use: judges at a look, while targets wait."""

    @property
    def spent_usd(self) -> float:
        """Spent so far: without a cap as far as it is known, under one at most so much."""
        return self._spent / MICRO

    @property
    def cap_usd(self) -> float | None:
        """The cap in dollars."""
        return None if self.cap is None else self.cap / MICRO

    @property
    def why(self) -> str | None:
        """The budget above the job that leaves less than its own, in words; None: none does."""
        found = None if self._account is None else self._account.tightest()
        if found is None or (self._own is not None and self._own - self._spent <= room(found)):
            return None
        return told(found)

    def progress(self) -> dict[str, float | None]:
        """What a line of progress says of money."""
        spent = self.spent_usd if self._begun or self.cap is not None else None
        return {"spent_usd": spent, "cap_usd": self.cap_usd, "n_unpriced": self.n_unknown}

    async def reserve(self, amount: int) -> bool:
        """Hold `amount` micro-dollars, waiting for others to settle where that may make room; False if none can.

        Raises:
            DataError: if what may be spent cannot be written down.
        """
        while not self.take(amount):
            if self._failed is not None:
                raise self._failed
            cap, after = (self.cap or 0) - self._aside, self._spent + self._held + amount
            if self._spent + amount > cap or (self._possible is not None and self._spent + amount > self._possible):
                return False
            if after <= cap:
                self._wants = max(self._wants, after)
                self._wanted.set()
            self._waiting += 1
            await self._changed.wait()
            self._waiting -= 1
        return True

    def take(self, amount: int) -> bool:
        """Hold `amount` at once, if nobody has to wait for it."""
        if self.cap is None:
            return True
        after = self._spent + self._held + amount
        if after > self._granted or after + self._aside > self.cap:
            return False
        self._held += amount
        return True

    def fits(self, amount: int) -> bool:
        """Whether the cap has room for `amount` beside all that is held, written down or not."""
        after = self._spent + self._held + amount
        return self.cap is None or (after + self._aside <= self.cap and (self._room is None or after <= self._room))

    def put_aside(self, amount: int, *, held: int = 0) -> None:
        """Keep `amount` for what comes after the end of this use, of what was `held` for that so far."""
        if self.cap is not None:
            self._held -= held
            self._aside += amount
            self._told()

    def settle(
        self, held: int, paid: int, *, known: bool = True, item: Item | None = None, cost: Cost | None = None
    ) -> None:
        """What was `held` for calls is over, and they cost `paid`; not `known`: at most that, or nobody knows.

        The ledger hears of it under `item`, with the source of `cost`; without one it does not.
        """
        if self.cap is not None:
            self._held -= held
            self._told()
        self._spent += paid
        self._begun = self._begun or known
        self.n_unknown += not known
        if item is not None and self._account is not None:
            self._spendings.add(item, paid, cost, known=known)

    @contextmanager
    def given_out(self, room: int) -> Iterator[None]:
        """Meanwhile what was put aside may be used; afterwards `room` of it is aside again."""
        self._aside = 0
        try:
            yield
        finally:
            self.put_aside(room)

    async def __aenter__(self) -> Self:
        self._users += 1
        if self._users > 1:
            return self
        if self.cap is not None or self._account is not None:
            await self._grant()
            if self._failed is not None:
                raise self._failed
            self._settling = asyncio.ensure_future(self._settle())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if self._users:
            return
        if self._settling is not None:
            # It may be writing, and is let finish: what is written last must be what stands.
            self._over = True
            self._wanted.set()
            await self._settling
            self._settling, self._over = None, False
        self.close()

    def close(self) -> None:
        """Write down what was spent; what is still held was stopped in flight, and may be billed."""
        if self._account is not None:
            self._spendings.take()
            self._spendings.stopped(self._held)
            with suppress(StoreError):  # then what it holds stays, and is charged once this process is gone
                self._draw(self._account, Wish(over=True))
            self._booked_at = None
            self._account.rest()
        self._spent, self._held, self._aside = self._spent + self._held, 0, 0
        self._granted = self._spent
        if self._path is not None and (self.cap is not None or self._spent):
            with suppress(OSError):  # then the larger amount written last stays
                _write(self._path, self._spent)

    async def _settle(self) -> None:
        while self._failed is None and not self._over:
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    await self._wanted.wait()
            self._wanted.clear()
            await self._grant()
            if self._refused:
                # Others hold what is wanted: they are given time, and those who wait come at different times.
                await asyncio.sleep(SETTLE_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    async def _grant(self) -> None:
        """Bring the amount on disk to about what is used and one block more, at most the cap."""
        due = None if self.cap is None else self._due(self.cap)
        if due is None and not self._late():
            return
        try:
            due = await self._held_above(due)
            # Less holds at once, more only when it is on disk.
            self._granted = min(self._granted, due)
            if self._path is not None and self.cap is not None and due != self._written:
                await asyncio.to_thread(_write, self._path, due)
            self._granted = self._written = due
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._failed = DataError(f"{self._path} cannot be written: {why}.", next="Make room, then resume the job.")
        except StoreError as error:
            self._failed = DataError(str(error), next="Mend that, then resume the job.")
        self._told()

    def _due(self, cap: int) -> int | None:
        """What should stand on disk; None: about what does."""
        used = self._spent + self._held
        wanted = self._wants > self._granted
        block = max(cap // BLOCKS, 2 * (used - self._used), self._wants - used)
        due, self._used = max(used, min(cap, used + block)), used
        if due == self._granted or (not wanted and block // 2 <= self._granted - used <= 2 * block):
            return None
        return due

    def _late(self) -> bool:
        """Whether the ledger should hear of us."""
        if self._account is None or self._booked_at is None:
            return self._account is not None
        return bool(self._spendings) and time.monotonic() - self._booked_at > BOOK_S

    async def _held_above(self, due: int | None) -> int:
        """What of `due` the budgets above have room for, held there; what was spent is written down on the way."""
        least, self._wants = self._wants, 0
        wanted = due is not None and least > self._granted
        due = self._granted if due is None else due
        if self._account is None:
            return due
        # What is held for nobody yet goes back while others may be waiting for it as we do.
        self._granted = self._spent + self._held if wanted else min(self._granted, due)
        spent = self._spent
        wish = Wish(keep=self._granted - spent, want=due - spent, least=least - spent if wanted else 0)
        self._spendings.take()
        drawn = await asyncio.to_thread(self._draw, self._account, wish)
        self._booked_at = time.monotonic()
        self._refused = wanted and drawn.held < wish.least
        self._room = None if drawn.room is None else spent + drawn.room
        self._possible = None if drawn.possible is None else spent + drawn.possible
        return spent + drawn.held

    def _draw(self, account: Account, wish: Wish) -> Drawn:
        """Has the ledger hear of what was taken, and says so in the same thread: nobody comes between."""
        drawn = account.draw(self._spendings.taken, wish)
        self._spendings.done()
        return drawn

    def _told(self) -> None:
        """Wake whoever waits for room."""
        if self._waiting:
            self._changed.set()
            self._changed.clear()


def _kept(path: Path | None) -> int:
    found: Any = None if path is None else read_json(path)
    return int(found["micro_usd"]) if isinstance(found, dict) else 0


def _write(path: Path, micro_usd: int) -> None:
    write_json(path, {"micro_usd": micro_usd})
