"""What a decision stands on, as digests: whoever doubts it can tell whether all is still as it was when it was signed.

The description is canonical (sorted keys, no spaces), so the same facts give the same hash on any machine.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlaas_lab.errors import DataError
from mlaas_lab.reviewing import chain
from mlaas_lab.schema import JSON

VERSION = 1
"""Of the description."""
TITLES = {
    "records": "the records",
    "reviews": "the reviews",
    "rule": "the rule",
    "comparison": "the comparison's settings",
}


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """A gate's rules and what came of them."""

    text: str
    """The rules as they were written."""
    ok: bool
    lines: tuple[str, ...]
    """Each rule, whether it holds, and its numbers."""
    about: Mapping[str, JSON]
    """Baseline and targets, as far as the rules do not say them."""

    def as_json(self) -> dict[str, JSON]:
        """As it stands in the log."""
        return {"text": self.text, "ok": self.ok, "lines": list(self.lines), "about": dict(self.about)}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What there is now."""

    parts: Mapping[str, JSON]
    """`{version, records, reviews, rule, comparison}`."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the description."""
        return chain.digest(self.parts)

    def since(self, earlier: Mapping[str, JSON]) -> list[str]:
        """What of it is not as it was, in words."""
        return [title for name, title in TITLES.items() if self.parts.get(name) != earlier.get(name)]


def gather(table: Path, reviews: Sequence[Path], *, rule: Ruled | None, comparison: Mapping[str, JSON]) -> Evidence:
    """The evidence of a decision about the records in `table`.

    Raises:
        DataError: if a file cannot be read.
    """
    parts: dict[str, JSON] = {
        "version": VERSION,
        "records": _sha256(table),
        "reviews": {path.name: _sha256(path) for path in sorted(reviews)},
        "rule": None if rule is None else {"text": rule.text, "ok": rule.ok, "about": dict(rule.about)},
        "comparison": {key: None if value is None else str(value) for key, value in sorted(comparison.items())},
    }
    return Evidence(parts=parts)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path} cannot be read: {reason}; what is not whole cannot be signed.") from error
