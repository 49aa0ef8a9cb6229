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


TOLD = {
    "emulated": ("Emulated", "answered on this machine, not by the vendor."),
    "unchecked": ("Unchecked", "served with --no-parity: nobody compared it with the model that was trained."),
}
"""Columns of flags, and what a view says of targets that have them."""


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
        told = _told(records)
        return [_noted(view, told) for view in views if view is not None]


def labelled(view: View, records: "pl.DataFrame | pl.LazyFrame") -> View:
    """`view`, which says so if an emulator answered in place of a vendor, or an endpoint that nobody compared."""
    return _noted(view, _told(records))


def _noted(view: View, told: list[str]) -> View:
    return replace(view, notes=[*view.notes, *told]) if told else view


def _told(records: "pl.DataFrame | pl.LazyFrame") -> list[str]:
    """What every view of `records` must say beside its numbers."""
    lazy = records.lazy()
    columns = lazy.collect_schema().names()
    flags = {name: _flagged(lazy, name) for name in ("emulated", "unchecked") if name in columns}
    return [f"{TOLD[name][0]}: {_those(found)} {TOLD[name][1]}" for name, found in flags.items() if found]


def _flagged(lazy: "pl.LazyFrame", name: str) -> list[str]:
    """The targets with that flag."""
    found = lazy.filter(name).select("target").unique(maintain_order=True).collect()["target"]
    return [str(target) for target in found]


def _those(targets: list[str]) -> str:
    return f"{', '.join(targets)} {'was' if len(targets) == 1 else 'were'}"
