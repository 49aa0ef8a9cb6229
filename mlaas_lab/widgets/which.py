"""Which rows stand behind a number: a target, a pair, a metric, a group, and what of them is worth seeing.

A page names targets and groups by their place in a list, so that no name can be more than a name. Nothing here reads
a record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from mlaas_lab import registry
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.records import metrics_of

MOST = 200
"""Groups, errors, providers or regions that a list offers; where there are more, none is offered."""


class Only(StrEnum):
    """Which samples, and in what order."""

    APART = "apart"
    ERRORS = "errors"
    WORST = "worst"
    A_MORE = "a_more"
    B_MORE = "b_more"
    UNSCORED = "unscored"
    SLOWEST = "slowest"
    DEAREST = "dearest"
    UNPRICED = "unpriced"
    RETRIED = "retried"
    ALL = "all"


WORDS = {
    Only.APART: "disagreements",
    Only.ERRORS: "errors",
    Only.WORST: "worst first",
    Only.A_MORE: "the first scores higher",
    Only.B_MORE: "the second scores higher",
    Only.UNSCORED: "not scored",
    Only.SLOWEST: "slowest first",
    Only.DEAREST: "dearest first",
    Only.UNPRICED: "unpriced",
    Only.RETRIED: "retried",
    Only.ALL: "all, in their order",
}
"""As a reader chooses them."""

Place = int | None
FIELDS = ("target", "a", "b", "metric", "group", "error", "provider", "region")
"""Fields that name something by its place."""


class Which(BaseModel):
    """The rows that are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: Place = Field(None, ge=0)
    a: Place = Field(None, ge=0)
    b: Place = Field(None, ge=0)
    metric: Place = Field(None, ge=0)
    group: Place = Field(None, ge=0)
    error: Place = Field(None, ge=0)
    provider: Place = Field(None, ge=0)
    region: Place = Field(None, ge=0)
    only: Only = Field(Only.APART, strict=False)
    find: str = Field("", max_length=200)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What can be named: every list in the order of the records."""

    targets: Sequence[str]
    metrics: Sequence[str]
    groups: Sequence[str]
    errors: Sequence[str]
    providers: Sequence[str]
    regions: Sequence[str]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Choices":
        """Those of some records."""
        return cls(
            targets=[str(name) for name in frame["target"].unique(maintain_order=True).to_list()],
            metrics=metrics_of(frame.columns),
            groups=_values(frame, "group"),
            errors=_values(frame, "error"),
            providers=_values(frame, "provider"),
            regions=_values(frame, "region"),
        )

    def named(self, field: str) -> Sequence[str]:
        """What a field of Which counts in."""
        return {
            "target": self.targets,
            "a": self.targets,
            "b": self.targets,
            "metric": self.metrics,
            "group": self.groups,
            "error": self.errors,
            "provider": self.providers,
            "region": self.regions,
        }[field]

    def place(self, field: str, name: object) -> int | None:
        """Where `name` stands; None if it is none of them."""
        known = self.named(field)
        return known.index(name) if isinstance(name, str) and name in known else None

    def name(self, which: Which, field: str) -> str | None:
        """What `which` names in that field; None if nothing."""
        at = getattr(which, field)
        return None if at is None else self.named(field)[at]

    def check(self, which: Which) -> Which:
        """`which`, if all it names is here.

        Raises:
            UsageError: if it counts beyond a list, or names half a pair.
        """
        for field in FIELDS:
            at = getattr(which, field)
            if at is not None and at >= len(self.named(field)):
                raise UsageError(f"there is no {field} {at}.")
        if (which.a is None) != (which.b is None):
            raise UsageError("a pair has two targets.")
        return which


def _values(frame: pl.DataFrame, column: str) -> list[str]:
    if column not in frame.columns:
        return []
    found = frame[column].drop_nulls().cast(pl.String).unique(maintain_order=True)
    return found.to_list() if len(found) <= MOST else []


def query(which: Which, choices: Choices) -> str:
    """`which` as `target=echo/up&only=errors`: names, not places."""
    named = [(field, choices.name(which, field)) for field in FIELDS]
    pairs = [(field, name) for field, name in named if name is not None]
    pairs += [("only", str(which.only))]
    pairs += [("find", which.find)] if which.find else []
    return "&".join(f"{key}={quote(value, safe='/:@.-_~?')}" for key, value in pairs)


def asked(text: str, choices: Choices) -> Which:
    """What `query` wrote, read again.

    Raises:
        UsageError: for a word that is unknown, with the nearest.
    """
    _, pairs = registry.parted(f"?{text}")
    found: dict[str, object] = {}
    for key, value in pairs.items():
        if key in FIELDS:
            found[key] = choices.place(key, value)
            if found[key] is None:
                raise UsageError(f"show: no {key} is called {value!r}.", next=did_you_mean(value, choices.named(key)))
        elif key == "only" and value in list(Only):
            found[key] = Only(value)
        elif key == "find":
            found[key] = value[:200]
        else:
            known = list(Only) if key == "only" else [*FIELDS, "only", "find"]
            wrong = value if key == "only" else key
            raise UsageError(f"show: {wrong!r} is unknown.", next=f"Known: {', '.join(known)}.")
    return choices.check(Which.model_validate(found))
