"""Scores with their intervals, and what the paired comparison of any two targets says: in words first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlaas_lab import panels, records
from mlaas_lab.panels import _words as words
from mlaas_lab.panels._ranking import ranked
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.view import Badge, Column, Table, Tone, View, Whisker, Whiskers
from mlaas_lab.view.formats import count, p_value

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.evaluation.summary import Summary

NOTE = (
    "Verdicts are paired, on the samples both targets have a score for: exact McNemar where every score is 0 or 1, "
    "else a sign-flip permutation test, and for a number of all answers one that exchanges samples; p is Holm's over "
    "all rows, the interval a paired bootstrap's. More needed: about how many more samples would settle it."
)
GROUPED = (
    "Samples come in {} groups that look drawn from many (documents, users): intervals and tests stand on groups, "
    "since samples of one group are alike. `--grouped no` takes each sample for itself."
)
BORNE = (
    "Not worse: B loses less than the margin (--margin), tested one-sided at 2.5 % by Tango's score test where every "
    "score is 0 or 1, else by Student's t; its p is Holm's over all rows with a margin, a family of its own beside "
    "that of better. Equivalent: neither loses as much, and the interval lies within the margin. Not shown is no "
    "verdict against anybody."
)
BORNE_STOPPED = "Not worse: the interval lies above a loss of the margin (--margin), which holds whenever one stops."
TAKEN = {
    "dependent": "Samples come in {} groups that depend within (--grouped yes): intervals and tests stand on groups.",
    "alone": "Samples have groups, and each sample stands for itself (--grouped no).",
    "kinds": (
        "Samples have groups that look like a few kinds (languages, channels), not drawn from many: each sample stands "
        "for itself. `--grouped yes` takes groups for what counts."
    ),
}
SPREAD = "Spread: standard deviation between the repeats of one sample, pooled over samples."
STOPPED = (
    "Asking was to stop once it was decided (--until-decided): verdicts are paired and stand on repeated confidence "
    "intervals at five looks (O'Brien–Fleming-type), which hold whenever one stops. After an early stop the difference "
    "is too large on average. Further metrics count once the one before is decided."
)
ANY_TIME = (
    "Asking was to stop once it was decided, at whatever time (--until-decided, --any-time): verdicts are paired and "
    "stand on a confidence sequence (a mixture sequential test), which holds whenever one stops and asks for more than "
    "five looks do. After an early stop the difference is too large on average. Further metrics count once the one "
    "before is decided."
)
MORE = "`compare` shows cost, latency and the answers side by side."
LONGEST_NAME = 18
MOST_SAID = 4
"""Verdicts in words; the table has the others."""


def _build(frame: "pl.DataFrame | pl.LazyFrame") -> View | None:
    from mlaas_lab.evaluation.summary import summarized

    summary, verdicts = summarized(frame)
    return board(summary, verdicts) if summary else None


def views(folder: JobFolder) -> list[View]:
    """The results of an evaluation, from its folder; nothing while it is still asking."""
    outcome = read_json(folder.outcome)
    if not outcome or "summary" not in outcome.get("result", {}):
        return []
    return _ended(folder, outcome["result"])


def _ended(folder: JobFolder, result: dict[str, Any]) -> list[View]:
    from mlaas_lab.evaluation.summary import Summary

    summary = [Summary(**row) for row in result["summary"]]
    verdicts = [Verdict(**{**row, "verdict": Decision(row["verdict"])}) for row in result["verdicts"]]
    own = board(summary, verdicts)
    if not folder.records.exists():
        return [own]
    from mlaas_lab.panels.pareto import over

    compared = ("board", "cost", "latency", "outputs", "pareto", "slices", "success")
    frame = records.read(folder.records)
    own = panels.labelled(replace(own, notes=[*own.notes, *result.get("notes", ()), MORE]), frame)
    apart = (panels.labelled(view, frame) for view in over(frame, summary, verdicts))
    return [own, *apart, *panels.draw(frame, without=compared)]


def board(summary: "Sequence[Summary]", verdicts: Sequence[Verdict]) -> View:
    """The scores of all targets and what they decide.

    Args:
        summary: a line per target and metric, targets in their order.
        verdicts: what is known of each pair; may be empty.
    """
    metrics = list(dict.fromkeys(line.metric for line in summary))
    targets = list(dict.fromkeys(line.target for line in summary))
    marks = [_scores(metric, [line for line in summary if line.metric == metric]) for metric in metrics]
    spread = any(line.spread is not None for line in summary)
    rows = [(*_row(line), words.spread(line)) if spread else _row(line) for line in summary]
    columns: list[Column | str] = [
        "Metric",
        "Target",
        Column(title="Mean", align="right"),
        Column(title="95 % interval", align="right"),
        Column(title="n", align="right", format=count),
        Column(title="No score", align="right", format=count),
        *([Column(title="Spread", align="right")] if spread else []),
    ]
    alone = ["One target alone: there is nothing to compare it with."] if len(targets) == 1 and not verdicts else []
    return View(
        title="Scores",
        summary=_said(summary, verdicts, n_targets=len(targets)),
        marks=marks,
        table=Table(columns=columns, rows=rows),
        folded=True,
        notes=[*alone, *_grouped(summary), *([SPREAD] if spread else [])],
        children=[_verdicts(verdicts)] if verdicts else [],
    )


def _said(summary: "Sequence[Summary]", verdicts: Sequence[Verdict], *, n_targets: int) -> str:
    """Of two targets the verdicts as sentences; of more, who leads by each metric: pairs are too many to read."""
    leading = ranked(summary, verdicts) if n_targets > 2 else []
    return "\n".join(leading) or words.said(summary, verdicts, most=MOST_SAID)


def _grouped(summary: "Sequence[Summary]") -> list[str]:
    """Whether groups count or samples do, and who says so."""
    numbers = [line.n_groups for line in summary if line.n_groups]
    note = TAKEN.get(next((line.grouping for line in summary if line.grouping), ""), GROUPED if numbers else "")
    few, most = count(min(numbers, default=None)), count(max(numbers, default=None))
    return [note.format(few if few == most else f"{few} to {most}")] if note else []


def _scores(metric: str, lines: "Sequence[Summary]") -> Whiskers:
    share = words.is_share(metric)
    rows = [
        Whisker(label=line.target, mean=line.mean, low=line.ci_low, high=line.ci_high, note=_note(line))
        for line in lines
    ]
    return Whiskers(
        title=words.titled(metric), rows=rows, format=words.value_format(metric), domain=(0.0, 1.0) if share else None
    )


def _note(line: "Summary") -> str:
    missing = f", {count(line.n_error)} without" if line.n_error else ""
    if line.mean is None:
        return line.reason or f"no score ({count(line.n_error)} records without)"
    return f"{words.value_format(line.metric)(line.mean)} (n {count(line.n)}{missing})"


def _row(line: "Summary") -> tuple[Any, ...]:
    form = words.value_format(line.metric)
    interval = words.interval(line.ci_low, line.ci_high, form)
    return (line.metric, line.target, form(line.mean), interval, line.n, line.n_error)


def _verdicts(verdicts: Sequence[Verdict]) -> View:
    columns: list[Column | str] = [
        "Metric",
        "A",
        "B",
        "Verdict",
        Column(title="B − A", align="right"),
        Column(title="95 % interval", align="right"),
        Column(title="p", align="right", format=p_value),
        Column(title="Pairs", align="right", format=count),
        Column(title="More needed", align="right", format=count),
    ]
    rows = [_verdict(verdict) for verdict in verdicts]
    tests = {found.test for found in verdicts}
    stopped = not tests.isdisjoint({"group_sequential", "always_valid"})
    notes = [ANY_TIME if "always_valid" in tests else STOPPED if stopped else NOTE]
    if any(found.not_worse is not None for found in verdicts):
        columns += [
            "Not worse",
            Column(title="by", align="right"),
            Column(title="its p", align="right", format=p_value),
        ]
        rows = [(*row, *_borne(found)) for row, found in zip(rows, verdicts, strict=True)]
        notes.append(BORNE_STOPPED if stopped else BORNE)
    return View(title="Verdicts", table=Table(columns=columns, rows=rows), notes=notes)


def _borne(found: Verdict) -> tuple[Badge | None, str | None, float | None]:
    """Whether b is not worse than a, by which margin, and the p that says so."""
    if found.not_worse is None:
        return None, None, None
    shown = Badge(text="shown", tone=Tone.GOOD) if found.not_worse else Badge(text="not shown", tone=Tone.MILD)
    return shown, words.margin(found), found.p_not_worse


def _verdict(found: Verdict) -> tuple[Any, ...]:
    return (
        found.metric,
        found.a,
        found.b,
        _badge(found),
        words.gap(found),
        words.gap_interval(found),
        found.p_adjusted,
        found.n,
        found.more_samples,
    )


def _short(target: str) -> str:
    """Its name, if that fits: the row has it in full."""
    return target if len(target) <= LONGEST_NAME else ""


def _badge(found: Verdict) -> Badge:
    match found.verdict:
        case Decision.A_BETTER:
            return Badge(text=f"{_short(found.a) or 'A'} better", tone=Tone.GOOD)
        case Decision.B_BETTER:
            return Badge(text=f"{_short(found.b) or 'B'} better", tone=Tone.GOOD)
        case Decision.EQUIVALENT:
            return Badge(text="equivalent", tone=Tone.BUSY)
        case Decision.UNDECIDED:
            return Badge(text="not decided", tone=Tone.MILD)


panel = panels.Panel(needs=frozenset({"target", "sample_id"}), build=_build, place=10)
