"""`price TARGET…`: what a target costs, with the source and the date of the price, before anybody is asked."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal

from pydantic import Field

from mlaas_lab import pricing
from mlaas_lab.commands import Command
from mlaas_lab.commands._pricing import Reason, amount, book, placed, reason
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Cost, Target, Usage
from mlaas_lab.spec import Arg, Spec, TargetName
from mlaas_lab.view import Column, Facts, Shown, Table, View
from mlaas_lab.view.formats import count, usd


class Price(Spec):
    """Show what targets cost: per unit, in which currency, where, since when, and who says so."""

    targets: tuple[TargetName, ...] = Arg(min_length=1)
    """`provider/model?key=value`."""
    input_tokens: int = Field(1000, ge=0)
    """Of the example call."""
    output_tokens: int = Field(250, ge=0)
    """Of the example call."""


@dataclass(frozen=True, kw_only=True)
class Priced:
    """One target and its prices."""

    target: str
    prices: tuple[pricing.Price, ...]
    example: Cost
    reason: Reason | None
    """Why a call has no price."""


@dataclass(frozen=True, kw_only=True)
class Prices(Shown):
    """What targets cost at one time."""

    rows: Sequence[Priced]
    call: Usage
    """The example."""
    at: float

    def view(self) -> View:
        """What a call costs, and every price behind it."""
        n_in, n_out = count(self.call.input_tokens), count(self.call.output_tokens)
        return View(
            title="Prices",
            summary=f"A call of {n_in} input and {n_out} output tokens on {_day(self.at)}:",
            marks=[Facts(rows=[(row.target, usd(row.example.usd)) for row in self.rows])],
            table=_table(self.rows),
            notes=_notes(self.rows),
        )

    def as_json(self) -> JSON:
        """`{at, prices: [{target, priced, prices: [{unit, value, currency, usd, …}], example, reason, next}]}`."""
        return {"at": _day(self.at), "prices": [_as_json(row, self.call) for row in self.rows]}


def _table(rows: Sequence[Priced]) -> Table | None:
    """One row for each target and tier by length, one column for each unit that any of them has."""
    tiers: dict[tuple[str, int], dict[str, pricing.Price]] = {}
    for row in rows:
        for price in row.prices:
            tiers.setdefault((row.target, price.above_input_tokens), {})[price.unit] = price
    found = [price for row in rows for price in row.prices]
    units = sorted(
        {price.unit for price in found},
        key=lambda unit: pricing.CALL_UNITS.index(unit) if unit in pricing.CALL_UNITS else 99,
    )
    if not units:
        return None
    tiered, local, dated = (any(words) for words in zip(*(_rare(price) for price in found), strict=True))
    columns: list[Column | str] = [
        Column(title="Target", wrap=True),
        *([Column(title="Calls above", align="right")] if tiered else []),
        *(Column(title=_title(unit), align="right") for unit in units),
        *(["Region"] if local else []),
        *(["Since"] if dated else []),
    ]
    lines = []
    for (target, above), prices in tiers.items():
        one = next(iter(prices.values()))
        cells = [_cell(prices[unit]) if unit in prices else "" for unit in units]
        start = [f"{count(above)} input" if above else ""] if tiered else []
        lines.append([target, *start, *cells, *([one.region] if local else []), *([one.since] if dated else [])])
    return Table(columns=columns, rows=lines, caption="For 1M tokens, where a title says nothing else.")


def _rare(price: pricing.Price) -> tuple[int, str | None, str | None]:
    """What most prices do not have."""
    return price.above_input_tokens, price.region, price.since


def _title(unit: str) -> str:
    """`1M cached input tokens` → `Cached input`."""
    words = unit.removeprefix("1M ").replace(" tokens", "")
    return words[0].upper() + words[1:]


def _cell(price: pricing.Price) -> str:
    dollars = f" ({usd(price.usd)})" if price.currency != "USD" and price.usd is not None else ""
    return f"{amount(price)}{dollars}{' ?' if price.suspect else ''}"


def _notes(rows: Sequence[Priced]) -> list[str]:
    """What is unpriced, and what stands behind the rest: each thing once."""
    found = [(row.target, price) for row in rows for price in row.prices]
    said = [f"{row.target} is unpriced: {row.reason}" for row in rows if row.reason]
    said += [f"{target}: {'suspect, in no sum; ' if p.suspect else ''}{p.note}." for target, p in found if p.note]
    said += [f"Exchange rate: {pricing.rate_words(price.rate)}." for _, price in found if price.rate]
    said += [f"{row.target}: {row.example.source}." for row in rows if row.example.source and _aside(row)]
    said += _sources(found)
    return list(dict.fromkeys(said))


def _sources(found: Sequence[tuple[str, pricing.Price]]) -> list[str]:
    """Each source once; of several, whose prices it has."""
    whose: dict[str, dict[str, None]] = {}
    for target, price in found:
        whose.setdefault(price.source, {})[target] = None
    if len(whose) == 1:
        return [f"Source: {source}." for source in whose]
    return [f"Source of {', '.join(names)}: {source}." for source, names in whose.items()]


def _aside(row: Priced) -> bool:
    """Whether the example's source says more than those of the prices: free, or emulated."""
    return not row.prices or (row.example.source or "").startswith("emulated: ")


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _as_json(row: Priced, call: Usage) -> dict[str, JSON]:
    return {
        "target": row.target,
        "priced": row.example.usd is not None,
        "prices": [_price_as_json(price) for price in row.prices],
        "example": {
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "usd": _number(row.example.usd),
            "source": row.example.source,
        },
        "reason": row.reason.text if row.reason else None,
        "next": row.reason.next if row.reason else None,
    }


def _price_as_json(price: pricing.Price) -> dict[str, JSON]:
    rate = price.rate
    return asdict(price) | {
        "value": str(price.value),
        "usd": _number(price.usd),
        "rate": rate.model_dump(mode="json") if rate else None,
    }


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _run(args: Price, lab: Lab) -> Prices:
    lists, at = book(lab), time.time()
    call = Usage(input_tokens=args.input_tokens, output_tokens=args.output_tokens)
    targets = {word: placed(word, lab) for word in args.targets}
    rows = [_priced(word, target, call, at, lists) for word, target in targets.items()]
    return Prices(rows=rows, call=call, at=at)


def _priced(word: str, target: Target, call: Usage, at: float, lists: pricing.Lists) -> Priced:
    return Priced(
        target=word,
        prices=pricing.prices(target, at=at, book=lists),
        example=pricing.cost(target, call, at=at, book=lists),
        reason=reason(target, at, lists),
    )


command = Command(
    args=Price,
    run=_run,
    examples=("price openai/gpt-4o", "price openai/gpt-4o-mini openai/gpt-4o --input-tokens 2000 --output-tokens 300"),
)
