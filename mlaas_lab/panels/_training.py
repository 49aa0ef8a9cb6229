"""A fine-tune while it runs and after: the loss over steps, and the numbers it ended with.

Drawn several times a second beside a training on the same cores, so only what was written since the last look is read,
and neither polars nor numpy is imported.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.view import Column, Facts, Line, Series, Table, View
from mlaas_lab.view.formats import count, number

ROWS = 8
"""Of the table below the curve; MLflow has every step."""
PARTS = ("loss", "validation_loss", "lr", "grad_norm", "tokens_per_s")
TITLES = {
    "loss": "Loss",
    "validation_loss": "Validation loss",
    "lr": "Learning rate",
    "grad_norm": "Gradient norm",
    "tokens_per_s": "Tokens/s",
}

Curve = dict[int, float]
"""Step → value; a step that is repeated after a restart counts once, as it was last."""


def views(folder: JobFolder) -> list[View]:
    """The loss curve as far as it is known, and the results once there are some; empty before the first step."""
    curves = _reader(folder.path).read(folder)
    outcome = read_json(folder.outcome) or {}
    result = outcome.get("result", {})
    if not curves.get("loss") and not curves.get("validation_loss") and not result:
        return []
    return [_view(curves, result)]


class _Reader:
    """What the entry of one job has logged, read on from where the last look ended."""

    def __init__(self) -> None:
        self._offset = 0
        self._file = 0
        self._curves: dict[str, Curve] = {}

    def read(self, folder: JobFolder) -> dict[str, Curve]:
        """All curves so far."""
        if not folder.events.exists():
            return {}
        found = folder.events.stat()
        if found.st_ino != self._file or found.st_size < self._offset:
            self._offset, self._file, self._curves = 0, found.st_ino, {}
        for offset, event in folder.events_from(self._offset):
            self._offset = offset
            if event.get("event") == "metrics":
                self._keep(event)
        return self._curves

    def _keep(self, event: JSON) -> None:
        for name, value in event["values"].items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                self._curves.setdefault(name, {})[event["step"]] = value


@lru_cache(maxsize=16)
def _reader(path: Path) -> _Reader:  # noqa: ARG001 - one for each path
    return _Reader()


def _view(curves: Mapping[str, Curve], result: Mapping[str, JSON]) -> View:
    series = []
    for name in ("loss", "validation_loss"):
        if curve := curves.get(name):
            steps = sorted(curve)
            title = "training" if name == "loss" else "validation"
            series.append(Series(name=title, x=steps, y=[curve[s] for s in steps], points=name == "validation_loss"))
    loss = [Line(title="Loss per assistant token", series=series, x_title="step", smooth=True)] if series else []
    return View(
        title="Training",
        summary=_said(curves),
        marks=[*loss, *([Facts(rows=_facts(result))] if result else [])],
        table=_table(curves),
        folded=True,
    )


def _said(curves: Mapping[str, Curve]) -> str:
    for name, words in (("validation_loss", "Validation loss"), ("loss", "Training loss")):
        curve = curves.get(name, {})
        if len(curve) > 1:
            first, best = min(curve), min(curve, key=lambda step: (curve[step], step))
            start, lowest = number(curve[first]), number(curve[best])
            return f"{words} went from {start} at step {count(first)} to its lowest, {lowest}, at step {count(best)}."
    return ""


def _table(curves: Mapping[str, Curve]) -> Table | None:
    names = [name for name in PARTS if curves.get(name)]
    steps = sorted({step for name in names for step in curves[name]})
    if not steps:
        return None
    marked = sorted(curves.get("validation_loss", {})) or steps
    chosen = {marked[round(i * (len(marked) - 1) / (ROWS - 1))] for i in range(ROWS)} | {steps[-1]}
    columns = [Column(title="Step", align="right", format=count)]
    columns += [Column(title=TITLES[name], align="right", format=number) for name in names]
    rows = [(step, *(_near(curves[name], step) for name in names)) for step in sorted(chosen)]
    return Table(columns=columns, rows=rows)


def _near(curve: Curve, step: int) -> float | None:
    """The value at `step`, or just before it: validation follows the step it measures."""
    return curve.get(step, curve.get(step - 1))


def _facts(result: Mapping[str, JSON]) -> list[tuple[str, Any]]:
    adapter = result.get("adapter") or {}
    facts: list[tuple[str, Any]] = [
        ("Adapter", adapter.get("name")),
        ("Base", adapter.get("base")),
        ("Weights", adapter.get("path")),
        ("SHA-256", adapter.get("sha256")),
        ("Steps", result.get("steps")),
        ("Validation loss", result.get("validation_loss")),
        ("Training loss", result.get("loss")),
        ("Tokens/s", result.get("tokens_per_s")),
    ]
    return [(name, value) for name, value in facts if value is not None]
