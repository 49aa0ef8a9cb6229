"""Where a reader is: the page and what is filtered for, as the address of the page says it.

An address may say anything; what is not among the choices is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qs, urlencode

FILTERS = ("run", "target", "metric", "slice")
FIRST = "overview"

Choices = Mapping[str, Sequence[str]]
"""What each of FILTERS, and `page`, can be."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """A page and its filters; an empty filter leaves everything."""

    page: str = FIRST
    run: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()
    slice: tuple[str, ...] = ()

    @classmethod
    def read(cls, search: str, choices: Choices) -> Self:
        """From the part of an address that begins with a question mark."""
        try:
            said = parse_qs(search.removeprefix("?"), max_num_fields=1000)
        except ValueError:
            said = {}
        return cls.chosen({**said, "page": (said.get("page") or [FIRST])[0]}, choices)

    @classmethod
    def chosen(cls, said: Mapping[str, Any], choices: Choices) -> Self:
        """From what a page sent: a name for `page`, a list of names for each filter."""
        page = said.get("page")
        found = {name: _known(said.get(name), choices.get(name, ())) for name in FILTERS}
        return cls(page=page if isinstance(page, str) and page in choices["page"] else FIRST, **found)

    @property
    def query(self) -> str:
        """As it stands in the address."""
        pairs = [("page", self.page), *((name, one) for name in FILTERS for one in getattr(self, name))]
        return f"?{urlencode(pairs)}"

    @property
    def filtered(self) -> Self:
        """The filters alone: all pages share what is worked out of them."""
        return replace(self, page=FIRST)


def _known(said: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """Those of `choices` that are named; all of them are the same as none."""
    named = {one for one in said if isinstance(one, str)} if isinstance(said, (list, tuple)) else set()
    found = tuple(one for one in choices if one in named)
    return () if len(found) == len(choices) else found
