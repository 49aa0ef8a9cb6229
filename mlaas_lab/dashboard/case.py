"""What is to be decided on: the records of some runs and what is known of them; and the part that filters leave.

The one place where the dashboard touches a table: everything after it is a View. Each number is worked out once for
each choice of filters, whoever asks.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

import polars as pl

from mlaas_lab import panels
from mlaas_lab.dashboard.where import Where
from mlaas_lab.evaluation.slices import MOST
from mlaas_lab.evaluation.summary import Summary, summarize
from mlaas_lab.records import JUDGE_COLUMNS, METRIC_COLUMNS, metrics_of
from mlaas_lab.report import Origin, Provenance
from mlaas_lab.schema import Verdict
from mlaas_lab.view import View

if TYPE_CHECKING:
    from mlaas_lab.evaluation.margins import Margins
    from mlaas_lab.reviewing import Desk, Ruled

MOST_CUTS = 12
"""Choices of filters whose numbers are kept."""
COLUMNS = {"run": "run_id", "target": "target", "slice": "group"}
"""Filter → the column it looks at."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How targets are held against each other."""

    seed: int = 0
    margin: "Margins" = None
    grouped: bool | None = None
    """Whether samples of a group depend on each other; None: as they look."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Records, and what is known of them."""

    title: str
    frame: pl.DataFrame
    """Targets told apart."""
    provenance: Provenance
    compared: Compared = field(default_factory=Compared)
    made_of: Sequence[Origin] = ()
    """The adapters among the targets: base, data, hashes."""
    notes: Sequence[str] = ()
    words: Sequence[str] = ("compare",)
    """The command that shows the same, word by word."""
    links: Sequence[tuple[str, str]] = ()
    desks: Mapping[str, "Desk"] = field(default_factory=dict)
    """Id of a run → where it is reviewed and signed for."""
    rule: "Callable[[Desk, str], Ruled] | None" = None
    """Holds the rules that were given against the records for one target."""
    somebody: str = ""
    """Who sits at this machine; empty where others may come."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Id of a run → what its reader calls it."""
    _cuts: dict[Where, "Cut"] = field(default_factory=dict, init=False, repr=False, compare=False)
    _turn: Any = field(default_factory=RLock, init=False, repr=False, compare=False)

    @cached_property
    def choices(self) -> Mapping[str, Sequence[str]]:
        """What can be filtered for; a filter with one choice is none."""
        found = {name: self._values(column) for name, column in COLUMNS.items()}
        found["metric"] = metrics_of(self.frame.columns)
        if len(found["slice"]) > MOST:
            found["slice"] = []
        return {name: values if len(values) > 1 else [] for name, values in found.items()}

    def _values(self, column: str) -> list[str]:
        if column not in self.frame.columns:
            return []
        return self.frame[column].drop_nulls().unique(maintain_order=True).cast(pl.String).to_list()

    def cut(self, where: Where) -> "Cut":
        """What the filters of `where` leave; that of the last few is kept."""
        key = where.filtered
        with self._turn:
            found = self._cuts.pop(key, None) or Cut(self, key)
            self._cuts[key] = found
            for old in [*self._cuts][:-MOST_CUTS]:
                del self._cuts[old]
            return found


class Cut:
    """The records that filters leave, and what is worked out of them, once."""

    def __init__(self, case: Case, where: Where) -> None:
        """Nothing is computed before it is asked for."""
        self.case = case
        self.where = where
        self._found: dict[str, Any] = {}
        self._turns: defaultdict[str, Any] = defaultdict(RLock)

    def once(self, name: str, found: Callable[[], Any]) -> Any:
        """What `found` finds, asked once under that name; who asks meanwhile waits for the answer."""
        with self._turns[name]:
            if name not in self._found:
                self._found[name] = found()
            return self._found[name]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The records."""
        frame = self.case.frame
        for name, column in COLUMNS.items():
            if chosen := getattr(self.where, name):
                frame = frame.filter(pl.col(column).cast(pl.String).is_in(chosen))
        if not self.where.metric:
            return frame
        others = [one for one in metrics_of(frame.columns) if one not in self.where.metric]
        endings = {*METRIC_COLUMNS, *JUDGE_COLUMNS}
        return frame.drop([f"{one}{ending}" for one in others for ending in endings], strict=False)

    @property
    def scores(self) -> tuple[list[Summary], list[Verdict]]:
        """Means and verdicts; none of what nobody scored."""
        found: tuple[list[Summary], list[Verdict]] = self.once("scores", self._scores)
        return found

    def _scores(self) -> tuple[list[Summary], list[Verdict]]:
        how = self.case.compared
        summary, verdicts = summarize(self.frame, seed=how.seed, margin=how.margin, grouped=how.grouped)
        return list(summary), list(verdicts)

    @property
    def desk(self) -> "Desk | None":
        """Where these records are reviewed: a decision stands on one table; None where several are left."""
        chosen = self.where.run or tuple(self.case.desks)
        found = {id(desk): desk for run in chosen if (desk := self.case.desks.get(run)) is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    def drawn(self, *names: str) -> list[View]:
        """What these panels find."""
        known = panels.panels()
        return panels.draw(self.frame, without=set(known) - set(names)) if len(self.frame) else []

    def labelled(self, views: Sequence[View]) -> list[View]:
        """`views`, which say so where no vendor answered."""
        return [panels.labelled(view, self.frame) for view in views]
