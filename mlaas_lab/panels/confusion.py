"""Which label is taken for which: reference × answer of every target, where answers are scored as labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mlaas_lab import registry
from mlaas_lab.evaluation.labels import LONGEST_SHOWN, label
from mlaas_lab.panels import Panel
from mlaas_lab.records import metrics_of
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, percent

SCORED_BY = ("macro_f1", "accuracy")
"""Metrics that read an answer as a label."""
WIDEST = 12
"""Classes whose table can be read; of more, the confusions alone are listed."""
MOST_LISTED = 10
"""Confusions of a target in the list."""
MOST_SAID = 2
"""Of those, in words."""
OTHER = "none of them"
"""A label that no reference has, as a column."""
NOTE = (
    "Rows are references, columns what was answered. Answers are counted, repeats too; those without a score are not."
)
_LINE = r"^([^\n\r\x0b\x0c\x1c-\x1e\x{85}\x{2028}\x{2029}]*)"


@dataclass(frozen=True, kw_only=True)
class Confusions:
    """How often which label was answered where which was right, of one target."""

    target: str
    classes: tuple[str, ...]
    """What references are, the most frequent first; the same for all targets."""
    counts: Mapping[tuple[str, str], int]
    """By reference and answer, `OTHER` for an answer that is no class."""

    def of(self, want: str) -> int:
        """Answers where `want` was right."""
        return sum(n for (one, _), n in self.counts.items() if one == want)

    @property
    def wrong(self) -> list[tuple[str, str, int]]:
        """Reference, answer and how often, the most frequent first."""
        found = [(want, got, n) for (want, got), n in self.counts.items() if want != got]
        return sorted(found, key=lambda one: (-one[2], one[0], one[1]))


def confusions(frame: pl.DataFrame | pl.LazyFrame) -> list[Confusions]:
    """A line per target, in their order; empty where nothing was scored as a label, or references are no classes."""
    metrics = metrics_of(frame.lazy().collect_schema().names())
    metric = next((name for kind in SCORED_BY for name in metrics if _kind(name) == kind), None)
    if metric is None:
        return []
    scored = frame.lazy().filter((pl.col(f"{metric}_status") == "ok") & pl.col("output").is_not_null())
    # Equal answers are looked at once.
    alike = scored.group_by("target", "reference", "output", maintain_order=True).len()
    lines = alike.group_by("target", _line("reference"), _line("output"), maintain_order=True)
    table = lines.agg(pl.col("len").sum()).collect()
    spelled = {text: label(text)[:LONGEST_SHOWN] for name in ("reference", "output") for text in table[name].unique()}
    wanted: dict[str, int] = {}
    by_target: dict[str, dict[tuple[str, str], int]] = {}
    for target, reference, output, n in table.iter_rows():
        pair = spelled[reference], spelled[output]
        wanted[pair[0]] = wanted.get(pair[0], 0) + n
        counts = by_target.setdefault(target, {})
        counts[pair] = counts.get(pair, 0) + n
    if len(wanted) < 2 or 2 * len(wanted) > sum(wanted.values()):
        return []
    classes = tuple(sorted(wanted, key=lambda name: (-wanted[name], name)))
    return [Confusions(target=name, classes=classes, counts=_folded(by_target[name], wanted)) for name in by_target]


def _kind(metric: str) -> str:
    return registry.parted(metric)[0]


def _line(column: str) -> pl.Expr:
    """The line in which a label stands."""
    text = pl.col(column).cast(pl.String).fill_null("").str.strip_chars()
    return text.str.extract(_LINE, 1).fill_null("").str.slice(0, 4 * LONGEST_SHOWN).alias(column)


def _folded(counts: Mapping[tuple[str, str], int], classes: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """`counts` with all answers that are no class as one."""
    found: dict[tuple[str, str], int] = {}
    for (want, got), n in counts.items():
        pair = want, got if got in classes else OTHER
        found[pair] = found.get(pair, 0) + n
    return found


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    lines = confusions(frame)
    if not lines:
        return None
    few = len(lines[0].classes) <= WIDEST
    rows = [row for line in lines for row in _listed(line)]
    columns: list[Column | str] = [
        "Target",
        "Reference",
        "Taken for",
        Column(title="Answers", align="right", format=count),
        Column(title="Of the class", align="right", format=percent),
    ]
    return View(
        title="Confusions",
        summary="\n".join(_said(line) for line in lines),
        table=Table(columns=columns, rows=rows) if rows else None,
        notes=[] if few else [f"{count(len(lines[0].classes))} classes; a table of all is shown up to {WIDEST}."],
        children=[View(title=line.target, table=_square(line), notes=[NOTE]) for line in lines] if few else [],
    )


def _said(line: Confusions) -> str:
    most = line.wrong[:MOST_SAID]
    if not most:
        return f"{line.target} takes no label for another."
    told = [f"{want} for {got} in {count(n)} of {count(line.of(want))}" for want, got, n in most]
    total = sum(n for _, _, n in line.wrong)
    return f"{line.target} takes {' and '.join(told)}; {count(total)} of {count(sum(line.counts.values()))} are wrong."


def _listed(line: Confusions) -> list[tuple[Any, ...]]:
    return [(line.target, want, got, n, n / line.of(want)) for want, got, n in line.wrong[:MOST_LISTED]]


def _square(line: Confusions) -> Table:
    others = [OTHER] if any(got == OTHER for _, got in line.counts) else []
    columns: list[Column | str] = ["Reference"]
    columns += [Column(title=name, align="right", format=count) for name in (*line.classes, *others)]
    columns += [Column(title="Right", align="right", format=percent)]
    return Table(columns=columns, rows=[_row(line, want, others) for want in line.classes])


def _row(line: Confusions, want: str, others: Sequence[str]) -> tuple[Any, ...]:
    n = line.of(want)
    cells = [line.counts.get((want, got), 0) for got in (*line.classes, *others)]
    return (want, *cells, line.counts.get((want, want), 0) / n if n else None)


panel = Panel(needs=frozenset({"target", "reference", "output"}), build=_build, place=13)
