"""What calls cost: whose list prices a target, and the sum over its tokens.

Input tokens hold cache reads and writes, output tokens hold reasoning: each part is taken out and priced apart where it
has a price of its own, and as the rest where it has none.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from urllib.parse import urlsplit

from mlaas_lab.pricing import genai
from mlaas_lab.pricing.entries import CACHED, CALL_UNITS, INPUT, OUTPUT, OUTPUT_REASONED, REASONING, REQUESTS, WRITTEN
from mlaas_lab.pricing.lists import NONE, Lists, ours, regions
from mlaas_lab.pricing.price import Price, of_target
from mlaas_lab.schema import Cost, Target, Usage

MICRO = Decimal("0.000001")
THOUSAND, MILLION = Decimal(1_000), Decimal(1_000_000)
UNPRICED = Cost(usd=None)
DEPLOYED = frozenset({"azure"})
"""Providers where a model goes by a name of the user's choice, so that the answer alone says which one it is."""
Exact = tuple[Decimal, str]
"""Dollars, not rounded, and their source."""


def cost(target: Target, usage: Usage, *, at: float, book: Lists = NONE, answered: str | None = None) -> Cost:
    """The cost of one call, answered, filtered or failed, rounded up once to a whole micro-dollar.

    Unpriced is what we serve ourselves, what listens on this machine, what is in no price list, and what did not count
    its tokens. An emulated call costs what the vendor would ask.

    Args:
        target: what was prompted, best with its region.
        usage: what it reports.
        at: when, UTC in seconds: prices change.
        book: the user's own price lists.
        answered: the model that said it answered; it counts where the target names a deployment.
    """
    minute = int(at // 60)
    if target.provider == "echo":
        return Cost(usd=Decimal(0), source="free", date=_day_of(minute))
    if target.provider is None or usage.input_tokens is None or usage.output_tokens is None:
        return UNPRICED
    known = tariffs(target, minute, book)
    if not known and answered and target.provider in DEPLOYED:
        known = tariffs(replace(target, model=answered), minute, book)
    found = _sum(known, usage)
    if found is None:
        return UNPRICED
    usd, source = found
    if target.get("emulated") is not None:
        source = f"emulated: {source}"
    return Cost(usd=usd.quantize(MICRO, rounding=ROUND_UP), source=source, date=_day_of(minute))


def prices(target: Target, *, at: float, book: Lists = NONE) -> tuple[Price, ...]:
    """All that is known of what `target` costs at that time; empty: unpriced."""
    if target.provider is None or book.trouble or is_local(target):
        return ()
    day, base_url = day_of(at), _base_url(target)
    if book.given and (mine := of_target(book, target, day, own=True)):
        return mine
    if listed := genai.prices(target, base_url=base_url, at=at):
        return listed
    if base_url is not None:
        return ()
    return of_target(book, target, day, own=False)


def models(provider: str, *, book: Lists = NONE) -> list[str]:
    """Models of `provider` that have a price per token."""
    entries = (*book.own(provider), *ours(provider))
    names = [entry.model for entry in entries if entry.model and entry.unit in CALL_UNITS]
    return list(dict.fromkeys([*names, *genai.models(provider)]))


def regions_of(target: Target, *, book: Lists = NONE) -> list[str]:
    """Regions that a price of the target's model is listed for."""
    name = target.provider or ""
    return list(regions((*book.own(name), *ours(name)), target))


def sold_per_token(target: Target) -> bool:
    """Whether its provider bills calls, and not the machine."""
    return target.provider not in genai.NOT_PER_TOKEN


def is_local(target: Target) -> bool:
    """Whether it listens on this machine or in a private network, and is no emulator."""
    base_url = _base_url(target)
    return base_url is not None and _private(base_url)


def day_of(at: float) -> date:
    """The day in UTC."""
    return datetime.fromtimestamp(at, UTC).date()


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """What holds for calls with more input than `above` tokens."""

    above: int
    usd: Mapping[str, Decimal | None]
    """Unit → dollars for one token, or one request; None: not in dollars."""
    source: str


@lru_cache(maxsize=1024)
def tariffs(target: Target, minute: int, book: Lists) -> tuple[Tariff, ...]:
    """What `target` costs in that minute (since 1970), looked up once for all of its calls."""
    return _by_length(prices(target, at=minute * 60.0, book=book))


@lru_cache(maxsize=1024)
def _day_of(minute: int) -> str:
    return day_of(minute * 60.0).isoformat()


def _by_length(listed: Sequence[Price]) -> tuple[Tariff, ...]:
    """The tariffs in a list, that for the most input first."""
    known = [price for price in listed if not price.suspect]
    lengths = {0, *(price.above_input_tokens for price in known)} if known else set()
    return tuple(_tariff(known, above) for above in sorted(lengths, reverse=True))


def _tariff(known: Sequence[Price], above: int) -> Tariff:
    held = {
        price.unit: price
        for price in sorted(known, key=lambda price: price.above_input_tokens)
        if price.above_input_tokens <= above
    }
    usd = {
        unit: None if price.usd is None else price.usd / (THOUSAND if unit == REQUESTS else MILLION)
        for unit, price in held.items()
    }
    return Tariff(above=above, usd=usd, source="; ".join(dict.fromkeys(price.cited for price in held.values())))


def _sum(tariffs: Sequence[Tariff], usage: Usage) -> Exact | None:
    """Each part of the call at its own price; None where one that it needs is unknown."""
    n_input, n_output = usage.input_tokens or 0, usage.output_tokens or 0
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    reasoned = usage.reasoning_tokens or 0
    tariff = next((one for one in tariffs if n_input > one.above or not one.above), None)
    if tariff is None or not tariff.usd or cached + written > n_input or reasoned > n_output:
        return None
    usd = tariff.usd
    output = OUTPUT_REASONED if reasoned and OUTPUT_REASONED in usd else OUTPUT
    total = usd.get(REQUESTS, Decimal(0))
    parts = (
        (n_input - cached - written, INPUT, INPUT),
        (cached, CACHED, INPUT),
        (written, WRITTEN, INPUT),
        (n_output - reasoned, output, output),
        (reasoned, REASONING, output),
    )
    for n, unit, otherwise in parts:
        if n:
            price = usd[unit] if unit in usd else usd.get(otherwise)
            if price is None or total is None:
                return None
            total += n * price
    return None if total is None else (total, tariff.source)


def _base_url(target: Target) -> str | None:
    """Where the target says it is; an emulator stands for the vendor itself."""
    return None if target.get("emulated") is not None else target.get("base_url")


@lru_cache(maxsize=1024)
def _private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
