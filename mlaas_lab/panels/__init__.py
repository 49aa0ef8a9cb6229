"""A panel is one view over records, one per file: what columns it stands on, and a function from records to a View.

It draws nothing and reads no file; a cell, the report and whatever comes later draw what it builds. Panels do not know
each other. `Task.view` of a job that is still running comes through here too, so importing this costs nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mlaas_lab import registry
from mlaas_lab.view import View

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One view over records."""

    needs: frozenset[str]
    """Columns without which it has nothing to say."""
    build: "Callable[[pl.DataFrame | pl.LazyFrame], View | None]"
    """Records, in memory or still in their file, to a View; None when there is nothing to show.

    A table may have ten million rows: a panel takes `records.lazy()`, and collects the few columns that it needs."""
    place: int = 50
    """Where it stands among the others; lower comes first."""


def panels() -> dict[str, Panel]:
    """Every panel by its name, in the order they are shown."""
    found = {name: registry.load("panel", name) for name in registry.names("panel")}
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))


def draw(records: "pl.DataFrame | pl.LazyFrame", *, without: Collection[str] = ()) -> list[View]:
    """What every panel that finds its columns in `records` has to say, save those named in `without`."""
    from mlaas_lab.evaluation.sharing import sharing, together

    columns = set(records.lazy().collect_schema().names())
    chosen = [panel for name, panel in panels().items() if name not in without and panel.needs <= columns]
    with sharing():
        views = together([partial(panel.build, records) for panel in chosen])
        note = _emulated(records)
        return [_noted(view, note) for view in views if view is not None]


def labelled(view: View, records: "pl.DataFrame | pl.LazyFrame") -> View:
    """`view`, which says so if an emulator answered in place of a vendor."""
    return _noted(view, _emulated(records))


def _noted(view: View, note: str) -> View:
    return replace(view, notes=[*view.notes, note]) if note else view


def _emulated(records: "pl.DataFrame | pl.LazyFrame") -> str:
    lazy = records.lazy()
    if "emulated" not in lazy.collect_schema().names():
        return ""
    targets = lazy.filter("emulated").select("target").unique(maintain_order=True).collect()["target"]
    if not len(targets):
        return ""
    verb = "was" if len(targets) == 1 else "were"
    return f"Emulated: {', '.join(targets)} {verb} answered on this machine, not by the vendor."
