"""How fast one target may be asked: it is slowed down before the vendor says 429, and as a whole after it did.

Requests leave evenly: the next one's earliest moment is known at once (the generic cell rate algorithm, ITU-T I.371,
annex A), with a second's worth that may come together. Tokens are reserved by what answers have used on average so far,
and settled when a call's count is known.
"""

import asyncio
from dataclasses import dataclass

BURST_S = 1.0
"""So much of a minute's allowance may be used at once."""
BYTES_PER_TOKEN = 4
"""Of a request, until the first answer was counted."""
RECENT = 0.1
"""Weight of the newest answer in the average."""


@dataclass(kw_only=True)
class Pace:
    """One target's allowance a minute; None is no limit."""

    rpm: float | None = None
    tpm: float | None = None
    _requests_at: float = 0.0
    """The earliest moment of the next request, by the loop's clock."""
    _tokens_at: float = 0.0
    """When the tokens that were taken so far will have been allowed."""
    _held_until: float = 0.0
    _tokens: float | None = None
    """What an answer uses, on average."""

    async def turn(self, *, size_bytes: int, max_tokens: int) -> float:
        """Wait until another request may leave; returns the tokens reserved for it.

        Args:
            size_bytes: of the request's body.
            max_tokens: most that may be answered.
        """
        reserved = self._tokens if self._tokens is not None else size_bytes / BYTES_PER_TOKEN + max_tokens
        loop = asyncio.get_running_loop()
        # The place in the row is taken before waiting: whoever comes later, leaves later.
        at = self._next(loop.time(), reserved)
        if (wait_s := at - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        # Meanwhile the vendor may have said no to somebody else.
        if (wait_s := self._held_until - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        return reserved

    def _next(self, now: float, reserved: float) -> float:
        at = now
        if self.rpm is not None:
            self._requests_at = max(self._requests_at, now - BURST_S)
            at = max(at, self._requests_at)
            self._requests_at += 60 / self.rpm
        if self.tpm is not None:
            self._tokens_at = max(self._tokens_at, now - BURST_S)
            at = max(at, self._tokens_at)
            self._tokens_at += reserved * 60 / self.tpm
        return at

    def settle(self, reserved: float, used: int | None) -> None:
        """The call is over: what it used, instead of what was reserved; None where nobody counted."""
        if used is None:
            return
        self._tokens = used if self._tokens is None else self._tokens + RECENT * (used - self._tokens)
        if self.tpm is not None:
            self._tokens_at += (used - reserved) * 60 / self.tpm

    def hold(self, pause_s: float) -> None:
        """The vendor said that it is too much: nobody asks for so long."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + pause_s)
