"""What MLflow has of a log of decisions, held against it: that the end of a chain was cut off, only others can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHORT = 12
"""Characters of a digest that are shown."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """The last entry that MLflow was sent."""

    n: int = 0
    """Its number; 0 where MLflow has none."""
    digest: str = ""
    trouble: str = ""
    """Why MLflow could not be asked."""

    def against(self, entries: Sequence[Mapping[str, Any]], path: Path) -> str:
        """How the log at `path` contradicts MLflow, in one line; empty where it does not."""
        if not self.n or any(one["hash"] == self.digest for one in entries):
            return ""
        last = f"entry {self.n} (hash {self.digest[:SHORT]}) that is not in {path}"
        if self.n > len(entries):
            return f"MLflow knows of a later {last}: the end of the log was cut off."
        return f"MLflow knows of an {last}: the log was written anew."

    def note(self, entries: Sequence[Mapping[str, Any]]) -> str:
        """What MLflow says of the end of a log that it does not contradict."""
        if self.trouble:
            return f"MLflow could not be asked whether the end of the log was cut off: {self.trouble}"
        if not entries:
            return ""
        if not self.n:
            return "MLflow has none of it yet, so nobody else can tell whether its end was cut off."
        waiting = len(entries) - self.n
        later = f"; {waiting} later {'waits' if waiting == 1 else 'wait'} to be sent" if waiting else ""
        return f"MLflow knows the log up to entry {self.n}, as it is here{later}."
