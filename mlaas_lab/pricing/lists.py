"""The price lists that apply: the user's own first, then ours. Who asks for a price names the day.

Of entries that are valid on that day, the one that began last holds; one for the region wins over one for everywhere.
A user's list that cannot be read makes every price unknown until it is mended: a wrong price would be worse.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from mlaas_lab.errors import DataError
from mlaas_lab.pricing.entries import Entry, PriceList, Rate, read
from mlaas_lab.schema import Target
from mlaas_lab.settings import Settings

OURS = Path(__file__).parents[1] / "prices"
EXCHANGE = "exchange"
"""The file with rates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """The user's lists; ours stand behind them, read when a vendor is first asked for."""

    given: tuple[PriceList, ...] = ()
    cny_per_usd: Decimal | None = None
    trouble: str = ""
    """Why the user's lists cannot be used, in one line; then every price is unknown."""

    def own(self, vendor: str) -> tuple[Entry, ...]:
        """The user's entries for `vendor`."""
        return tuple(entry for one in self.given if one.vendor == vendor for entry in one.prices)

    def rate(self, currency: str, day: dt.date) -> Rate | None:
        """What a dollar bought on `day`, or nearest to it before; None if nobody says so."""
        if currency == "CNY" and self.cny_per_usd is not None:
            return Rate.model_construct(currency="CNY", per_usd=self.cny_per_usd, source="setting cny_per_usd")
        mine = [rate for one in self.given for rate in one.rates]
        return _nearest(mine, currency, day) or _nearest(_ours(EXCHANGE).rates, currency, day)


NONE = Lists()
"""Nothing of the user's."""


def lists(settings: Settings) -> Lists:
    """The lists that `settings` name; the files are read again when they change."""
    if settings.prices is None:
        return _with_rate(settings.cny_per_usd)
    paths = _files(settings.prices)
    try:
        stamps = tuple((path, path.stat().st_mtime_ns) for path in paths)
    except OSError as error:
        return Lists(trouble=f"prices: {error.filename} cannot be read: {(error.strerror or '').lower()}.")
    return _given(settings.prices, stamps, settings.cny_per_usd)


def ours(vendor: str) -> tuple[Entry, ...]:
    """Our entries for `vendor`; none where we have no list."""
    return _ours(vendor).prices


def vendors() -> tuple[str, ...]:
    """Whom we have a list for."""
    return tuple(sorted(path.stem for path in OURS.glob("*.yaml") if path.stem != EXCHANGE))


def valid(entries: Iterable[Entry], *, region: str | None, day: dt.date) -> list[Entry]:
    """Those that hold in `region` on `day`, one for each unit, tier and model."""
    best: dict[tuple[object, ...], Entry] = {}
    for entry in entries:
        if not entry.holds(day) or entry.region not in ("", region or ""):
            continue
        key = (entry.unit, entry.above_input_tokens, entry.model, entry.pattern, entry.gpu)
        known = best.get(key)
        if known is None or (bool(entry.region), entry.valid_from) > (bool(known.region), known.valid_from):
            best[key] = entry
    return list(best.values())


def regions(entries: Iterable[Entry], target: Target) -> Iterator[str]:
    """Where the target's model has a price, each once."""
    yield from dict.fromkeys(entry.region for entry in entries if entry.region and entry.names(target))


def _files(place: Path) -> list[Path]:
    return sorted(place.glob("*.yaml")) if place.is_dir() else [place]


@cache
def _with_rate(cny: Decimal | None) -> Lists:
    return NONE if cny is None else Lists(cny_per_usd=cny)


@cache
def _given(place: Path, stamps: tuple[tuple[Path, int], ...], cny: Decimal | None) -> Lists:
    if not stamps:
        return Lists(trouble=f"prices: {place} holds no .yaml file.")
    try:
        return Lists(given=tuple(read(path) for path, _ in stamps), cny_per_usd=cny)
    except DataError as error:
        return Lists(trouble=str(error))


@cache
def _ours(vendor: str) -> PriceList:
    path = OURS / f"{vendor}.yaml"
    return read(path) if path.is_file() else PriceList(vendor=vendor)


def _nearest(rates: Iterable[Rate], currency: str, day: dt.date) -> Rate | None:
    """The last one not after `day`; where all are later, the first of them."""
    known = sorted((rate for rate in rates if rate.currency == currency), key=lambda rate: rate.date or day)
    before = [rate for rate in known if (rate.date or day) <= day]
    return before[-1] if before else next(iter(known), None)
