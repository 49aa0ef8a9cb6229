"""`price TARGET…`: what a target costs, with the source and the date of the price, before anybody is asked."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

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
        found = [(row, price) for row in self.rows for price in row.prices]
        foreign = any(price.currency != "USD" for _, price in found)
        in_dollars: list[Column | str] = [Column(title="In dollars", align="right", format=usd)] if foreign else []
        target, per = Column(title="Target", wrap=True), Column(title="Per", wrap=True)
        columns = [target, per, Column(title="Price", align="right"), *in_dollars, "Region", "Valid"]
        lines = [_line(row, price, self.at, foreign=foreign) for row, price in found]
        return View(
            title="Prices",
            summary=f"A call of {n_in} input and {n_out} output tokens on {_day(self.at)}:",
            marks=[Facts(rows=[(row.target, usd(row.example.usd)) for row in self.rows])],
            table=Table(columns=columns, rows=lines) if lines else None,
            notes=_notes(self.rows),
        )

    def as_json(self) -> JSON:
        """`{at, prices: [{target, priced, prices: [{unit, value, currency, usd, …}], example, reason, next}]}`."""
        return {"at": _day(self.at), "prices": [_as_json(row, self.call) for row in self.rows]}


def _line(row: Priced, price: pricing.Price, at: float, *, foreign: bool) -> list[Any]:
    above = f", calls above {count(price.above_input_tokens)}" if price.above_input_tokens else ""
    in_dollars = [price.usd] if foreign else []
    valid = f"since {price.since}" if price.since else f"on {_day(at)}"
    return [row.target, f"{price.unit}{above}", amount(price), *in_dollars, price.region, valid]


def _notes(rows: Sequence[Priced]) -> list[str]:
    """What is unpriced, and what stands behind the rest: each thing once."""
    found = [(row.target, price) for row in rows for price in row.prices]
    said = [f"{row.target} is unpriced: {row.reason}" for row in rows if row.reason]
    said += [f"{target}: {'suspect, in no sum; ' if p.suspect else ''}{p.note}." for target, p in found if p.note]
    said += [f"Exchange rate: {pricing.rate_words(price.rate)}." for _, price in found if price.rate]
    sources = dict.fromkeys([price.source for _, price in found] + [r.example.source for r in rows if r.example.source])
    said += [f"Source: {source}." for source in sources]
    return list(dict.fromkeys(said))


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
