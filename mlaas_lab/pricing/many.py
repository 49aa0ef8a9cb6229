"""What very many calls cost, priced as one is: each by its length, each rounded up to a whole micro-dollar."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from mlaas_lab.pricing.calls import Tariff, tariffs
from mlaas_lab.pricing.entries import INPUT, OUTPUT, REQUESTS
from mlaas_lab.pricing.lists import NONE, Lists
from mlaas_lab.schema import Target

Whole = NDArray[np.int64]
FEMTO, FEMTO_IN_MICRO = Decimal(10**15), 10**9
"""Dollars are counted in femto-dollars, so that a price of a million tokens keeps nine decimals in whole numbers."""


def costs(target: Target, sizes: tuple[Whole, Whole], *, at: float, book: Lists = NONE) -> tuple[Whole, str] | None:
    """Micro-dollars of each call (n,), and the source; None where there is no price for one of them.

    Args:
        target: what is prompted, best with its region.
        sizes: input and output tokens, (n,) each; none of them cached, written to a cache, or thought.
        at: when, UTC in seconds.
        book: the user's own price lists.
    """
    n_input, n_output = sizes
    if target.provider == "echo":
        return np.zeros(len(n_input), dtype=np.int64), "free"
    known = tariffs(target, int(at // 60), book)
    if target.provider is None or not known:
        return None
    found, sources = np.full(len(n_input), -1, dtype=np.int64), []
    for tariff in known:
        mine = (found < 0) & ((n_input > tariff.above) | (not tariff.above))
        if mine.any():
            priced = _priced(tariff, n_input[mine], n_output[mine])
            if priced is None:
                return None
            found[mine] = priced
            sources.append(tariff.source)
    return found, _cited(target, sources)


def _priced(tariff: Tariff, n_input: Whole, n_output: Whole) -> Whole | None:
    usd = tariff.usd
    parts = ((n_input, usd.get(INPUT)), (n_output, usd.get(OUTPUT)))
    total = np.zeros(len(n_input), dtype=np.int64)
    request = usd.get(REQUESTS, Decimal(0))
    if request is None:
        return None
    total += _femto(request)
    for n, price in parts:
        if price is None and n.any():
            return None
        total += n * _femto(price or Decimal(0))
    rounded: Whole = -(-total // FEMTO_IN_MICRO)
    return rounded


def _femto(usd: Decimal) -> int:
    return int((usd * FEMTO).to_integral_value())


def _cited(target: Target, sources: Sequence[str]) -> str:
    said = "; ".join(dict.fromkeys(sources))
    return f"emulated: {said}" if target.get("emulated") is not None else said
