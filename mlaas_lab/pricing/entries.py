"""A price list on disk: dated entries, each with its source, checked when it is read.

A value is text, so that no digit is lost on the way to a Decimal. What a file says under `every` holds for each of its
entries that does not say otherwise.
"""

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mlaas_lab.errors import DataError
from mlaas_lab.schema import Target

INPUT = "1M input tokens"
CACHED = "1M cached input tokens"
WRITTEN = "1M cache write tokens"
OUTPUT = "1M output tokens"
REASONING = "1M reasoning tokens"
OUTPUT_REASONED = "1M output tokens with reasoning"
REQUESTS = "1,000 requests"
HOUR = "hour"
SECOND = "second of "
CALL_UNITS = (INPUT, CACHED, WRITTEN, OUTPUT, REASONING, OUTPUT_REASONED, REQUESTS)
"""Units of a call; `OUTPUT_REASONED` is the price of all output of a call that reasoned, `REASONING` of that part."""


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str):
        raise ValueError('write the number as text, as in "0.20"')
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("it is no number") from None
    if not number.is_finite() or number < 0:
        raise ValueError("it is no price")
    return number


def _unit(value: object) -> str:
    if value in (*CALL_UNITS, HOUR) or (isinstance(value, str) and re.fullmatch(r"second of [a-z0-9-]+", value)):
        return str(value)
    raise ValueError(f"known units: {', '.join((*CALL_UNITS, HOUR))}, second of gpu-NAME")


Money = Annotated[Decimal, BeforeValidator(_decimal)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Entry(BaseModel):
    """What one unit of one thing costs, from when, and who says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = ""
    """The vendor's name for it; of an `hour`, the machine."""
    pattern: str = ""
    """In place of a model: a pattern with `*` that its name fits."""
    unit: Annotated[str, BeforeValidator(_unit)]
    value: Money
    currency: Currency
    region: str = ""
    """Where it holds; empty: everywhere."""
    when: dict[str, str] = Field(default_factory=dict)
    """Words that a target must have, or leave out, for it to hold: `site: tokenhub`; an empty one must be left out."""
    above_input_tokens: int = Field(0, ge=0)
    """It holds for a whole call with more input than that."""
    gpu: str = ""
    gpus: int = Field(1, ge=1)
    """How many the machine has."""
    valid_from: dt.date
    valid_to: dt.date | None = None
    """The last day."""
    source: str = Field(min_length=1)
    """Where it was read."""
    confidence: Literal["read", "suspect"] = "read"
    """What is suspect is shown, and enters no sum."""
    note: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.unit == HOUR and not self.gpu:
            raise ValueError("an hour needs the gpu it is of")
        if not self.unit.startswith((HOUR, SECOND)) and bool(self.model) == bool(self.pattern):
            raise ValueError("it needs a model or a pattern, not both")
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to is before valid_from")
        return self

    def holds(self, day: dt.date) -> bool:
        """Whether it is valid on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def names(self, target: Target) -> bool:
        """Whether it is about that target's model, reached in that way."""
        name = target.model.lower()
        named = fnmatchcase(name, self.pattern.lower()) if self.pattern else name == self.model.lower()
        return named and all(target.get(word, value) == value for word, value in self.when.items())


class Rate(BaseModel):
    """How many units of a currency one dollar buys, on a day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Currency
    per_usd: Money
    date: dt.date | None = None
    """None: the user did not say."""
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.per_usd == 0:
            raise ValueError("a rate is more than 0")
        return self


class PriceList(BaseModel):
    """One file: the prices of a vendor or a cloud."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: str = Field(min_length=1)
    """The provider's name in a target, or a cloud's."""
    every: dict[str, Any] = Field(default_factory=dict)
    prices: tuple[Entry, ...] = ()
    rates: tuple[Rate, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(prices := data.get("prices", []), list):
            return data
        every = data.get("every") or {}
        full = [
            {**every, **entry} if isinstance(entry, dict) and isinstance(every, dict) else entry for entry in prices
        ]
        return {**data, "prices": full}


def read(path: Path) -> PriceList:
    """The price list in file `path`.

    Raises:
        DataError: in one line, naming the file and the first entry that is wrong.
    """
    try:
        data = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
        return PriceList.model_validate(data)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as a price list: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        raise DataError(f"{path}: {_first(error, data)}.", next="Mend that entry; see Prices in the README.") from None


def _first(error: ValidationError, data: Any) -> str:
    """The first thing that is wrong, with the number and the name of its entry."""
    found = error.errors()[0]
    message = found["msg"].removeprefix("Value error, ")
    where = [str(part) for part in found["loc"]]
    if len(where) > 1 and where[0] in ("prices", "rates"):
        entry = data[where[0]][int(where[1])]
        names = [entry.get(key) for key in ("model", "pattern", "currency")] if isinstance(entry, dict) else []
        name = next((f" ({name})" for name in names if name), "")
        where[:2] = [f"{where[0]} entry {int(where[1]) + 1}{name}"]
    said = f"{message[0].lower()}{message[1:]}"
    return f"{', '.join(where)}: {said}" if where else said
