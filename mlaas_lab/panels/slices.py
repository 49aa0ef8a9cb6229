"""How every target does on each group of samples: the worst slice, the gap to the best, and which gaps are noise."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from mlaas_lab.evaluation.aggregating import is_aggregate
from mlaas_lab.evaluation.slices import MOST, Sliced, groups_of, sliced
from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.stats.fairness import FOUR_FIFTHS, Slice
from mlaas_lab.view import Badge, Column, Table, Tone, View, Whisker, Whiskers
from mlaas_lab.view.formats import count, number, p_value, percent, points

MOST_SAID = 4
"""Worst slices in words; the table has the others."""
NOTE = (
    "Each slice stands against all other samples of its target: Fisher's exact test where every score is 0 or 1, else "
    "Welch's; p is Holm's over the slices. The gap of best and worst has an interval that holds for all pairs of "
    "slices at once. Ratio: the rate of good outcomes over that of the best slice."
)
TOGETHER = (
    "{} is made of all answers of a slice, by the classes that its own references have: it has a bootstrap interval, p "
    "from the intervals of both sides (Zou & Donner 2008), and no ratio, since it is no rate."
)


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    groups = len(groups_of(frame))
    if groups > MOST:
        return View(
            title="Slices",
            summary=f"The samples have {count(groups)} groups; more than {MOST} are no slices to look at one by one.",
        )
    lines = sliced(frame)
    if not lines:
        return None
    metrics = list(dict.fromkeys(line.metric for line in lines))
    return View(
        title="Slices",
        summary=" ".join(_said(lines)),
        marks=[_scores(metric, [line for line in lines if line.metric == metric]) for metric in metrics],
        table=_table(lines),
        folded=True,
        notes=[NOTE, *_notes(lines)],
        children=_gaps(lines),
    )


def _said(lines: Sequence[Sliced]) -> list[str]:
    """Gaps that are more than chance, the widest first; else that there is none."""
    compared = [line for line in lines if line.worst is not None and line.best is not None]
    if not compared:
        return ["Nothing can be compared: fewer than two groups have two samples with a score."]
    real = sorted((line for line in compared if not line.noise), key=lambda line: -(line.gap or 0))
    told = [_gap_said(line) for line in real[:MOST_SAID]]
    left = len(real) - len(told)
    told += [f"{left} more gaps in the table."] if left > 0 else []
    if not real:
        return [f"No gap between slices is more than chance would make ({count(len(compared))} looked at)."]
    rest = len(compared) - len(real)
    return [*told, f"{count(rest)} other gaps may be noise."] if rest else told


def _gap_said(line: Sliced) -> str:
    form = words.value_format(line.metric)
    worst, best = line.worst, line.best
    if worst is None or best is None:
        return ""
    return (
        f"{line.target} is worst by {line.metric} on {worst.name}: {form(worst.mean)} against {form(best.mean)} on "
        f"{best.name} (gap {_gap_text(line)})."
    )


def _gap_text(line: Sliced) -> str:
    share = words.is_share(line.metric)
    shown = f"{_plain(line.gap, share=share)}{' points' if share else ''}"
    limits = words.interval(line.gap_low, line.gap_high, points if share else number)
    return f"{shown}, {limits}"


def _plain(gap: float | None, *, share: bool) -> str:
    return points(gap).removeprefix("+") if share else number(gap)


def _scores(metric: str, lines: Sequence[Sliced]) -> Whiskers:
    form = words.value_format(metric)
    rows = [
        Whisker(
            label=f"{line.target} · {one.name}",
            hue=hue,
            mean=one.mean,
            low=one.ci_low,
            high=one.ci_high,
            note=f"{form(one.mean)} (n {count(one.n)})",
        )
        for hue, line in enumerate(lines)
        for one in line.slices
    ]
    domain = (0.0, 1.0) if words.is_share(metric) else None
    return Whiskers(title=words.titled(metric), rows=rows, format=form, domain=domain)


def _table(lines: Sequence[Sliced]) -> Table:
    columns: list[Column | str] = [
        "Metric",
        "Target",
        "Group",
        Column(title="Mean", align="right"),
        Column(title="95 % interval", align="right"),
        Column(title="n", align="right", format=count),
        Column(title="Less the others", align="right"),
        Column(title="p", align="right", format=p_value),
        "Reading",
        Column(title="Ratio", align="right"),
    ]
    return Table(columns=columns, rows=[row for line in lines for row in _rows(line)])


def _rows(line: Sliced) -> list[tuple[Any, ...]]:
    rows = [_row(line, one) for one in line.slices]
    alone = [
        (line.metric, line.target, name, None, None, 1, None, None, Badge(text="one row"), None) for name in line.single
    ]
    none = [
        (line.metric, line.target, name, None, None, 0, None, None, Badge(text="no score"), None)
        for name in line.unscored
    ]
    return [*rows, *alone, *none]


def _row(line: Sliced, one: Slice) -> tuple[Any, ...]:
    form = words.value_format(line.metric)
    gap = points if words.is_share(line.metric) else number
    alone = len(line.slices) == 1
    return (
        line.metric,
        line.target,
        one.name,
        form(one.mean),
        words.interval(one.ci_low, one.ci_high, form),
        one.n,
        None if one.gap is None else gap(one.gap),
        one.p_adjusted,
        _reading(one, alone=alone),
        None if one.ratio is None or alone else number(one.ratio),
    )


def _reading(one: Slice, *, alone: bool) -> Badge:
    if one.mean is None:
        return Badge(text="no number")
    return Badge(text="alone" if alone else "noise") if one.noise else Badge(text="differs", tone=Tone.BAD)


def _gaps(lines: Sequence[Sliced]) -> list[View]:
    compared = [line for line in lines if line.worst is not None and line.best is not None]
    if not compared:
        return []
    columns: list[Column | str] = [
        "Metric",
        "Target",
        "Worst",
        "Best",
        Column(title="Gap", align="right"),
        "Reading",
        Column(title="Ratio", align="right"),
        "Four fifths",
    ]
    note = f"Four fifths: a rate below {percent(FOUR_FIFTHS)} of the best slice's counts as adverse (29 CFR 1607.4 D)."
    return [
        View(title="Worst slices", table=Table(columns=columns, rows=[_worst(one) for one in compared]), notes=[note])
    ]


def _worst(line: Sliced) -> tuple[Any, ...]:
    worst, best = line.worst, line.best
    if worst is None or best is None:
        return ()
    reading = Badge(text="noise") if line.noise else Badge(text="real", tone=Tone.BAD)
    return (line.metric, line.target, worst.name, best.name, _gap_text(line), reading, _ratio(worst), _line(worst))


def _ratio(worst: Slice) -> str | None:
    if worst.ratio is None:
        return None
    return f"{number(worst.ratio)} ({words.interval(worst.ratio_low, worst.ratio_high, number)})"


def _line(worst: Slice) -> Badge | None:
    if worst.ratio is None:
        return None
    if worst.adverse is None:
        return Badge(text="not decided")
    return Badge(text="below", tone=Tone.BAD) if worst.adverse else Badge(text="above", tone=Tone.GOOD)


def _notes(lines: Sequence[Sliced]) -> list[str]:
    of_all = list(dict.fromkeys(line.metric for line in lines if is_aggregate(line.metric)))
    notes = [TOGETHER.format(" and ".join(of_all))] if of_all else []
    for reason in dict.fromkeys(one.reason for line in lines for one in line.slices if one.reason):
        having = [(line, one) for line in lines for one in line.slices if one.reason == reason]
        named = dict.fromkeys(f"{line.metric} of {line.target} on {one.name}" for line, one in having)
        notes.append(f"No number: {reason} ({', '.join(named)}).")
    single = list(dict.fromkeys(name for line in lines for name in line.single))
    if single:
        notes.append(f"One row says nothing of a group: {', '.join(single)}.")
    without = max(line.n_without for line in lines)
    if without:
        notes.append(f"{count(without)} scored samples have no group; they are in no slice.")
    return notes


panel = Panel(needs=frozenset({"target", "sample_id", "group"}), build=_build, place=15)
