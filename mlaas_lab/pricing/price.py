"""One price as it is shown: an amount per unit, where, since when, who says so, and what it is in dollars."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from mlaas_lab.pricing.entries import CALL_UNITS, HOUR, Entry, Rate
from mlaas_lab.pricing.lists import Lists, ours, valid
from mlaas_lab.schema import Target


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one unit costs, where, since when, and who says so."""

    unit: str
    value: Decimal
    """In `currency`."""
    currency: str = "USD"
    source: str
    region: str | None = None
    """None: the same everywhere, as far as the source says."""
    since: str | None = None
    """The first day, as YYYY-MM-DD; None where the source does not say."""
    above_input_tokens: int = 0
    """It holds for a whole call with more input than that."""
    suspect: bool = False
    """Shown, but in no sum."""
    note: str = ""
    rate: Rate | None = None
    """Of a foreign currency; None: nobody says what a dollar buys."""

    @property
    def usd(self) -> Decimal | None:
        """In dollars; None without a rate."""
        if self.currency == "USD":
            return self.value
        return self.value / self.rate.per_usd if self.rate else None

    @property
    def cited(self) -> str:
        """The source, and that of the exchange rate when one is used."""
        return f"{self.source}; {rate_words(self.rate)}" if self.rate else self.source


def rate_words(rate: Rate) -> str:
    """`CNY 6.65288 = USD 1 on 2026-10-30 (source)`."""
    day = f" on {rate.date.isoformat()}" if rate.date else ""
    return f"{rate.currency} {rate.per_usd} = USD 1{day} ({rate.source})"


def priced(entry: Entry, book: Lists, day: dt.date) -> Price:
    """`entry` with the exchange rate of `day`."""
    return Price(
        unit=entry.unit,
        value=entry.value,
        currency=entry.currency,
        source=entry.source,
        region=entry.region or None,
        since=entry.valid_from.isoformat(),
        above_input_tokens=entry.above_input_tokens,
        suspect=entry.confidence == "suspect",
        note=entry.note,
        rate=None if entry.currency == "USD" else book.rate(entry.currency, day),
    )


@lru_cache(maxsize=1024)
def of_target(book: Lists, target: Target, day: dt.date, *, own: bool) -> tuple[Price, ...]:
    """Prices of a call, from the user's lists if `own`, else from ours; one for each unit and tier.

    A model's own name wins over a pattern, and a longer pattern over a shorter one.
    """
    vendor, region = target.provider or "", target.get("region")
    entries = book.own(vendor) if own else ours(vendor)
    named = [entry for entry in entries if entry.unit != HOUR and entry.names(target)]
    best: dict[tuple[str, int], Entry] = {}
    for entry in sorted(valid(named, region=region, day=day), key=lambda one: (bool(one.model), len(one.pattern))):
        best[entry.unit, entry.above_input_tokens] = entry
    return tuple(priced(entry, book, day) for entry in _ordered(best.values()))


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    order = {unit: n for n, unit in enumerate(CALL_UNITS)}
    return sorted(entries, key=lambda entry: (entry.above_input_tokens, order.get(entry.unit, len(order))))
