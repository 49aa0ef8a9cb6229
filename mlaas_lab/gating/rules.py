"""Rules of a gate as people write them, one a line or several with `;` between: words and a number each.

    exact_match: lower bound of the difference >= -0.01
    p99_s <= 2; usd_per_1k <= 0.4; unpriced = 0      # several
    new-model | region in EU

Nothing here looks at a record.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mlaas_lab import registry
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.gating.regions import AREAS

SIGNS = {"≥": ">=", "⩾": ">=", "≤": "<=", "⩽": "<=", "==": "="}
BOTH = (">=", "<=")
OF_METRIC: Mapping[str, tuple[str, ...]] = {
    "mean": BOTH,
    "lower bound": BOTH,
    "upper bound": BOTH,
    "difference": BOTH,
    "lower bound of the difference": BOTH,
    "upper bound of the difference": BOTH,
    "usd_per_success": ("<=",),
}
"""What may stand behind `METRIC:`, and how it may be compared."""
SAME = {"mean of the difference": "difference", "mean difference": "difference"}
PERCENTILES: Mapping[str, tuple[str, str]] = {
    **{f"{name}_s": ("latency_s", name) for name in ("p50", "p95", "p99")},
    **{f"ttft_{name}_s": ("ttft_s", name) for name in ("p50", "p95", "p99")},
}
"""Quantity → of which times, and which percentile."""
OF_TARGET: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(PERCENTILES, ("<=",)),
    "usd_per_1k": ("<=",),
    "usd_per_success": ("<=",),
    "unpriced": ("=", "<="),
    "errors": ("<=", "="),
    "n": (">=",),
}
"""What a rule may ask of a target itself, and how it may be compared."""
SHARES = ("errors", "mean", "difference", "lower bound", "upper bound")
"""Quantities, or the words they begin with, that may be given in %."""
EXAMPLES = "Write it as `exact_match: mean >= 0.9`, `p99_s <= 2` or `region in EU`."
COMPARISON = re.compile(r"(?P<what>[^<>=≤≥⩽⩾]*)(?P<sign>>=|<=|==?|[≤≥⩽⩾])(?P<number>[^<>=≤≥⩽⩾]*)")
REGION = re.compile(r"region\s+in\s+(?P<places>.+)")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
LONGEST = 80
"""Characters of a rule that a message repeats."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What must hold."""

    text: str
    """As it was written, without the target."""
    line: int
    """Where it stands, from 1."""
    quantity: str
    """A word of `OF_METRIC` or `OF_TARGET`, or `region`."""
    target: str | None = None
    """None: the one that the gate is about."""
    metric: str | None = None
    sign: str = "in"
    """`>=`, `<=`, `=` or `in`."""
    limit: float | None = None
    """In the quantity's own unit, shares from 0 to 1; None for regions."""
    places: tuple[str, ...] = ()
    """Areas and regions."""

    @property
    def paired(self) -> bool:
        """It needs a baseline."""
        return "difference" in self.quantity

    def holds(self, value: float) -> bool:
        """Whether `value` is what the rule wants; what is not a number never is."""
        if self.limit is None or not math.isfinite(value):
            return False
        if self.sign == "=":
            return value == self.limit
        return value >= self.limit if self.sign == ">=" else value <= self.limit


def parse(text: str) -> list[Rule]:
    """The rules in `text`, in their order; `#` begins a remark.

    Raises:
        UsageError: for the first one that cannot be read, with its line and the nearest words.
    """
    found = []
    for line, whole in enumerate(text.splitlines(), start=1):
        bare = re.sub(r"(^|[\s;|])#.*", r"\1", whole)
        found += [_rule(part.strip(), line) for part in bare.split(";") if part.strip()]
    return found


def _rule(text: str, line: int) -> Rule:
    target, bar, rest = text.rpartition("|")
    said = " ".join(rest.split()).replace("−", "-")
    if bar and not target.strip():
        raise _wrong(text, line, "no target stands before |")
    named = target.strip() or None
    if region := REGION.fullmatch(said):
        places = _places(region["places"], text, line)
        return Rule(text=said, line=line, quantity="region", target=named, places=places)
    found = COMPARISON.fullmatch(said)
    if found is None:
        raise _wrong(text, line, "it compares nothing with a number")
    metric, quantity = _quantity(found["what"].strip(), text, line)
    sign = SIGNS.get(found["sign"], found["sign"])
    allowed = (OF_METRIC if metric else OF_TARGET)[quantity]
    if sign not in allowed:
        raise _wrong(text, line, f"{quantity} is compared by {' or '.join(allowed)}, not by {sign}")
    limit = _number(found["number"].strip(), quantity, text, line)
    return Rule(text=said, line=line, quantity=quantity, target=named, metric=metric, sign=sign, limit=limit)


def _quantity(what: str, text: str, line: int) -> tuple[str | None, str]:
    """The metric, if there is one, and what is compared."""
    metric, colon, word = (part.strip() for part in what.rpartition(":"))
    known = OF_METRIC if colon else OF_TARGET
    quantity = word if word in known else SAME.get(word.casefold(), word.casefold())
    if colon and not metric:
        raise _wrong(text, line, "no metric stands before the colon")
    if quantity in known:
        return metric or None, quantity
    if not colon and word in registry.names("metric"):
        raise _wrong(text, line, f"what of {word}?", near=f"Write `{word}: mean`, or another of {_listed(OF_METRIC)}.")
    near = did_you_mean(quantity, known) or f"Known: {_listed(known)}."
    raise _wrong(text, line, f"unknown quantity {_short(word)}", near=near)


def _number(word: str, quantity: str, text: str, line: int) -> float:
    digits = word.removesuffix("%").rstrip()
    share = word != digits
    if not NUMBER.fullmatch(digits):
        raise _wrong(text, line, f"{_short(word)} is not a number")
    value = Decimal(digits)
    if share and not quantity.startswith(SHARES):
        raise _wrong(text, line, f"{quantity} takes no %")
    if quantity == "errors" and not share and value != 0:
        raise _wrong(text, line, "errors are a share of the calls", near=f"Write `errors <= {digits} %`.")
    limit = float(value / 100 if share else value)
    if not math.isfinite(limit):
        raise _wrong(text, line, f"{_short(word)} is too large")
    return limit


def _places(said: str, text: str, line: int) -> tuple[str, ...]:
    places = tuple(place for part in said.split(",") if (place := part.strip()))
    for place in places:
        if " " in place or "=" in place:
            raise _wrong(text, line, f"{_short(place)} is not a region", near="Put a comma between regions.")
        if place.isupper() and place not in AREAS:
            near = did_you_mean(place, AREAS) or f"Known areas: {', '.join(AREAS)}; or name the regions."
            raise _wrong(text, line, f"unknown area {_short(place)}", near=near)
    if not places:
        raise _wrong(text, line, "no region is named")
    return places


def _wrong(text: str, line: int, why: str, *, near: str = EXAMPLES) -> UsageError:
    end = "" if why.endswith("?") else "."
    return UsageError(f"rule line {line}, {_short(text)}: {why}{end}", next=near)


def _short(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _listed(words: Mapping[str, object]) -> str:
    return ", ".join(words)
