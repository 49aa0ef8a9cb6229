"""What one call may cost at most, before it is made, and what it did cost or may have cost, once it is over.

At most: every byte of the prompt a token, an answer of `max_tokens`, the dearest way a price list has to count them,
and every attempt billed. It knows prices and attempts; who spends, and how much there is, it does not.
"""

import math
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import product

from mlaas_lab import pricing
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.spendings import NOT_BILLED
from mlaas_lab.inference import Params, Route
from mlaas_lab.ledger import MICRO
from mlaas_lab.schema import Attempt, Cost, Message, Usage

FRAME = 16
"""Tokens around a message, for its role and its ends: the chat templates of open models have up to 7."""
HEAD = 64
"""Tokens of a system prompt that a template adds by itself: Llama 3.1's has 26, Qwen 2.5's 21."""
GRAIN = 64
"""Prompts whose sizes differ by less are priced alike, by the larger one."""


class Meter:
    """The cost of one target's calls, in micro-dollars."""

    def __init__(self, route: Route, params: Params, *, retries: int, book: pricing.Lists) -> None:
        """`params` are the request's, which the target's own win over; `retries` are attempts after the first."""
        self._route = route
        self._max_tokens = route.params(params).max_tokens
        self._tries = 1 + retries
        self._book = book
        self._most: dict[int, int] = {}

    def check(self, why: str) -> None:
        """See that a cap can be held, the option or the setting `why`.

        Raises:
            UsageError: if nobody knows what a call costs.
        """
        # What we serve ourselves sends no bill; its machine costs the same with and without a cap.
        if self._route.target.provider is None or self._dearest(GRAIN) is not None:
            return
        name = self._route.name
        if self._book.trouble:
            raise UsageError(f"{why} needs prices, and {self._book.trouble}", next="Mend that price list.")
        if pricing.is_local(self._route.place):
            raise UsageError(
                f"{why} needs a price for every target, and {name} listens at a private address, where none holds.",
                next=f"Ask what `serve` started by its endpoint's name, which sends no bill, or leave {why} out.",
            )
        raise UsageError(
            f"{why} needs a price for every target, and {name} has none.",
            next="Put one into a price list of your own (setting `prices`); "
            f"`price {self._route.target}` says what is known.",
        )

    def most(self, messages: Sequence[Message]) -> int:
        """What a call with `messages` costs at most, all attempts together."""
        size = HEAD + sum(len(message.content.encode()) + FRAME for message in messages)
        grains = -(-size // GRAIN)
        known = self._most.get(grains)
        if known is None:
            known = self._most[grains] = self._tries * math.ceil((self._dearest(grains * GRAIN) or 0) * MICRO)
        return known

    def paid(self, held: int, attempts: Sequence[Attempt], cost: Cost) -> tuple[int, bool]:
        """What a call cost, and whether that is known; what may have been billed counts by what was `held` for it.

        Args:
            held: by `most`, 0 where nothing was.
            attempts: all of them, the last one's price being `cost`.
            cost: unpriced where nobody knows.
        """
        if cost.usd is not None and len(attempts) == 1:
            return int(cost.usd * MICRO), True
        doubtful = sum(may_be_billed(one) for one in (attempts if cost.usd is None else attempts[:-1]))
        known = 0 if cost.usd is None else int(cost.usd * MICRO)
        return known + doubtful * (held // self._tries), not doubtful

    def _dearest(self, n_input: int) -> Decimal | None:
        """Of all ways to count so many tokens in and the longest answer out; None if any has no price."""
        at = time.time()
        tiers = {price.above_input_tokens for price in pricing.prices(self._route.place, at=at, book=self._book)}
        worst = Decimal(0)
        for n, read, thought in product(
            {n_input, *(n for n in tiers if 0 < n < n_input)}, ("", "cached_tokens", "cache_write_tokens"), (0, 1)
        ):
            counts = {"input_tokens": n, "output_tokens": self._max_tokens, **({read: n} if read else {})}
            usage = Usage(**counts, reasoning_tokens=thought * self._max_tokens)
            found = pricing.cost(self._route.place, usage, at=at, book=self._book).usd
            if found is None:
                return None
            worst = max(worst, found)
        return worst


def check(routes: Iterable[Route], params: Params, *, book: pricing.Lists, why: str = "--max-usd") -> None:
    """See that a cap can be held on calls to all of `routes`; `why` is the option or the setting that it is.

    Raises:
        UsageError: for the first target of which nobody knows what a call costs.
    """
    for route in routes:
        Meter(route, params, retries=0, book=book).check(why)


def may_be_billed(attempt: Attempt) -> bool:
    """Whether an attempt without a price may be on the bill: it was not refused unread, and it was sent."""
    never_sent = attempt.connected_at is None and attempt.error in ("unreachable", "timed_out")
    return attempt.error not in NOT_BILLED and not never_sent
