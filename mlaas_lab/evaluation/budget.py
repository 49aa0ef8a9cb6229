"""Money for calls: held before a call begins, settled once it is known what it cost, so that a cap is a cap.

What is spent and what is held for calls in flight never exceed the cap together. On disk stands an amount that is never
below the two, so that a kill forgets no call in flight: it grows in blocks and is written every 100 ms, and no call
waits for the disk while a block lasts. It knows amounts, not who is asked or why.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlaas_lab.errors import DataError
from mlaas_lab.store.folder import read_json, write_json

MICRO = 1_000_000
"""Micro-dollars in a dollar: sums of them are exact, and a call's price is a whole number of them."""
SETTLE_S = 0.1
"""How often the amount on disk is brought up to date, in seconds."""
BLOCKS = 20
"""A block is at least this part of the cap: so much a kill may waste."""


class Budget:
    """What one job may spend on calls, over all its attempts; as `async with budget`, on one loop at a time."""

    def __init__(self, cap_usd: Decimal | None = None, path: Path | None = None) -> None:
        """Without `cap_usd` everything may be spent; at `path` stands what earlier attempts may have spent."""
        self.cap = None if cap_usd is None else int(cap_usd * MICRO)
        """In micro-dollars."""
        self.n_unknown = 0
        """Calls of which nobody knows the whole cost: under a cap each counts with the most that it may have been."""
        self._path = path
        self._spent = _kept(path)
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
            if self._spent + amount > cap:
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
        return self.cap is None or self._spent + self._held + self._aside + amount <= self.cap

    def put_aside(self, amount: int, *, held: int = 0) -> None:
        """Keep `amount` for what comes after the end of this use, of what was `held` for that so far."""
        if self.cap is not None:
            self._held -= held
            self._aside += amount
            self._told()

    def settle(self, held: int, paid: int, *, known: bool = True) -> None:
        """What was `held` for calls is over, and they cost `paid`; not `known`: at most that, or nobody knows."""
        if self.cap is not None:
            self._held -= held
            self._told()
        self._spent += paid
        self._begun = self._begun or known
        self.n_unknown += not known

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
        if self.cap is not None:
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

    async def _grant(self) -> None:
        """Bring the amount on disk to about what is used and one block more, at most the cap."""
        used, cap = self._spent + self._held, self.cap or 0
        wanted = self._wants > self._granted
        block = max(cap // BLOCKS, 2 * (used - self._used), self._wants - used)
        due, self._used, self._wants = max(used, min(cap, used + block)), used, 0
        if due == self._granted or (not wanted and block // 2 <= self._granted - used <= 2 * block):
            return
        # Less holds at once, more only when it is on disk.
        self._granted = min(self._granted, due)
        try:
            if self._path is not None:
                await asyncio.to_thread(_write, self._path, due)
            self._granted = due
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._failed = DataError(f"{self._path} cannot be written: {why}.", next="Make room, then resume the job.")
        self._told()

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
