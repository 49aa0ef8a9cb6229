"""A small form, and what a page may say in it: read as text, whatever comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.widgets.texts import text

MOST_CHARS = 4000
ONE_RUN = "Choose one run above: people review, and sign for, the records of one."
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing that is asked."""

    name: str
    label: str
    value: str | bool = ""
    """True or False is a box to tick."""
    choices: Sequence[str] = ()
    long: bool = False
    """Several lines."""
    fixed: bool = False
    needed: bool = False

    def as_json(self) -> dict[str, JSON]:
        """As the page has it; a choice is its place, so that no name is sent back."""
        at = next((place for place, one in enumerate(self.choices) if one == self.value), 0)
        return {
            "name": self.name,
            "label": self.label,
            "value": at if self.choices else self.value,
            "choices": [text(one) for one in self.choices],
            "long": self.long,
            "fixed": self.fixed,
            "needed": self.needed,
        }


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is asked before something is done."""

    act: str
    """What the button says."""
    fields: Sequence[Field]
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Said with it, and nobody is asked."""

    def as_json(self) -> dict[str, JSON]:
        """As the page has it."""
        return {"act": self.act, "fields": [one.as_json() for one in self.fields]}

    def read(self, message: object) -> dict[str, Any] | None:
        """What was said in it, a value for each field; None for what is no message of this form."""
        if not isinstance(message, Mapping) or not isinstance(said := message.get("said"), Mapping):
            return None
        return {**{one.name: _value(one, said.get(one.name)) for one in self.fields}, **self.hidden}


def _value(asked: Field, said: Any) -> str | bool:
    if asked.fixed:
        return asked.value
    if isinstance(asked.value, bool):
        return said is True
    if asked.choices:
        known = isinstance(said, int) and not isinstance(said, bool) and 0 <= said < len(asked.choices)
        return asked.choices[said] if known else ""
    return words(said)


def words(said: Any) -> str:
    """What was typed."""
    return said[:MOST_CHARS].encode(errors="replace").decode() if isinstance(said, str) else ""


def checked(found: Found | None, why: str) -> Found:
    """`found`, if there is one.

    Raises:
        UsageError: with `why` if there is none.
    """
    if found is None:
        raise UsageError(why)
    return found
