"""Quality, cost and the slowest answers of every target in one picture, and who is behind another in all three.

An unpriced target stands apart, never at 0. A percentile that so few answers cannot bound is not drawn: a lower one
takes its place, and the words say so.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from mlaas_lab.evaluation.bills import Bill, bills
from mlaas_lab.evaluation.frontier import Candidate, Measure, Standing, standings
from mlaas_lab.evaluation.summary import Summary, summarized
from mlaas_lab.panels import Panel
from mlaas_lab.panels import _words as words
from mlaas_lab.panels.latency import QUANTILES, Latency, latencies
from mlaas_lab.schema import Verdict
from mlaas_lab.stats.intervals import fewest_for
from mlaas_lab.view import Axis, Badge, Column, Reach, Scatter, Spot, Table, Tone, View
from mlaas_lab.view.formats import count, seconds, usd

NOTE = (
    "Bars are 95 % intervals; one without a cap goes on, since nothing bounds that side. A target is dominated only "
    "where the intervals leave no axis on which it may be better: quality by the paired verdict, cost and latency by "
    "intervals that do not meet. Cost is that of all calls, failed ones too, for 1,000 answers."
)
MOST_SAID = 6
"""Dominated targets in words; the table has all."""


def pareto(
    summary: Sequence[Summary],
    verdicts: Sequence[Verdict],
    paid: Sequence[Bill],
    times: Sequence[Latency],
    *,
    metric: str | None = None,
) -> View | None:
    """The picture, from what other panels have found already; None where there are not two targets to compare.

    Fewer than six answers of each bound no percentile: then there is nothing to draw either.

    Args:
        summary: of the records.
        verdicts: all of them; those by `metric` are looked at.
        paid: what each target cost.
        times: how long each took.
        metric: the quality axis; by default the first that has a better side.
    """
    metric, name = metric or leading(summary), percentile(times)
    if metric is None or name is None:
        return None
    lines = found(summary, verdicts, paid, times, metric=metric)
    drawn = [line for line in lines if line.candidate.quality is not None]
    if len(drawn) < 2:
        return None
    return View(
        title="Quality, cost, latency",
        summary=_summary(lines, name),
        marks=[_picture(drawn, metric, name)],
        table=_table(lines, metric, name),
        notes=[*_few(times, name), NOTE],
    )


def found(
    summary: Sequence[Summary],
    verdicts: Sequence[Verdict],
    paid: Sequence[Bill],
    times: Sequence[Latency],
    *,
    metric: str,
) -> list[Standing]:
    """How each target stands by `metric`, its cost and its latency, targets in their order."""
    name = percentile(times)
    cost = {line.target: _cost(line) for line in paid}
    took = {line.target: _latency(line, name) for line in times}
    candidates = [
        Candidate(
            target=line.target,
            quality=None if line.mean is None else Measure(value=line.mean, low=line.ci_low, high=line.ci_high),
            cost=cost.get(line.target),
            latency=took.get(line.target),
        )
        for line in summary
        if line.metric == metric
    ]
    known = words.higher_is_better(metric)
    return standings(candidates, [one for one in verdicts if one.metric == metric], higher_is_better=known is not False)


def leading(summary: Sequence[Summary]) -> str | None:
    """The first metric that somebody was scored by and that has a better side."""
    known = (line.metric for line in summary if line.mean is not None)
    return next((metric for metric in known if words.higher_is_better(metric) is not None), None)


def percentile(times: Sequence[Latency]) -> str | None:
    """The highest percentile that the answers of all targets bound, `p99` where they can; few answers do not count."""
    several = [line for line in times if line.n >= fewest_for(QUANTILES["p50"])]
    fewest = min((line.n for line in several), default=0)
    return next((name for name, q in reversed(QUANTILES.items()) if fewest >= fewest_for(q)), None)


def _cost(bill: Bill) -> Measure | None:
    value = bill.usd_per_1000_answers
    if value is None:
        return None
    if not bill.whole:
        return Measure(value=value, low=value, high=None)
    # Where every call costs the same there is no spread, and the bill is what it is.
    same = bill.ci_low is None or bill.ci_high is None
    return Measure(value=value, low=value if same else bill.ci_low, high=value if same else bill.ci_high)


def _latency(line: Latency, name: str | None) -> Measure | None:
    one = line.latency_s.get(name) if name else None
    if one is None or one.ci_low is None or one.ci_high is None:
        return None
    return Measure(value=one.value, low=one.ci_low, high=one.ci_high)


def _picture(lines: Sequence[Standing], metric: str, name: str) -> Scatter:
    spots = []
    for line in lines:
        one = line.candidate
        if one.quality is not None:
            x = [_reach(one.cost), _reach(one.latency)]
            spots.append(Spot(label=one.target, y=_known(one.quality), x=x, hollow=line.dominated))
    form = words.value_format(metric)
    cost = Axis(title="dollars for 1,000 answers", format=usd, unknown="unpriced")
    took = Axis(title=f"{name} of latency", format=seconds, unknown="too few")
    return Scatter(title=words.titled(metric), spots=spots, y=Axis(title=metric, format=form), x=[cost, took])


def _reach(measure: Measure | None) -> Reach | None:
    return None if measure is None else _known(measure)


def _known(measure: Measure) -> Reach:
    return Reach(value=measure.value, low=measure.low, high=measure.high)


def _summary(lines: Sequence[Standing], name: str) -> str:
    """Who is dominated and by whom; then who is left."""
    behind = [line for line in lines if line.by is not None]
    behind.sort(key=lambda line: not line.clear)
    told = [f"{line.candidate.target} is {said(line, name)}." for line in behind[:MOST_SAID]]
    left = len(behind) - len(told)
    told += [f"{left} more in the table."] if left > 0 else []
    apart = [line.candidate.target for line in lines if line.candidate.lacks]
    ahead = [line.candidate.target for line in lines if line.by is None and not line.candidate.lacks]
    if ahead:
        told.append(f"Behind nobody: {', '.join(ahead)}.")
    if apart:
        told.append(f"Apart, with an axis unknown: {', '.join(apart)}.")
    return "\n".join(told)


def said(line: Standing, name: str) -> str:
    """How one target stands, in words; `name` is the percentile that stands for latency."""
    if line.candidate.lacks:
        return f"apart: its {_listed(line.candidate.lacks, name)} is unknown"
    if line.by is None:
        return "not dominated"
    worse = f"worse on {_listed(line.worse, name)}" if line.worse else ""
    if line.clear:
        return f"dominated by {line.by}: {'' if len(line.worse) > 2 else 'not better on any axis, '}{worse}"
    unsure = f"the intervals leave {_listed(line.open, name)} open"
    return f"behind {line.by}, not clearly: {f'{worse}, but ' if worse else ''}{unsure}"


def _listed(axes: Sequence[str], name: str) -> str:
    shown = [name if axis == "latency" else axis for axis in axes]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _few(times: Sequence[Latency], name: str) -> list[str]:
    """Why it is not the p99."""
    if name == "p99":
        return []
    needed = fewest_for(QUANTILES["p99"])
    fewest = min((line.n for line in times if line.n), default=0)
    return [
        f"p99 needs {count(needed)} answers of each target, and one has {count(fewest)}: {name} stands in its place."
    ]


def _table(lines: Sequence[Standing], metric: str, name: str) -> Table:
    columns: list[Column | str] = [
        "Target",
        "Standing",
        Column(title=metric, align="right"),
        Column(title="Per 1,000 answers", align="right"),
        Column(title=name, align="right"),
        Column(title="Why", wrap=True),
    ]
    return Table(columns=columns, rows=[_row(line, metric, name) for line in lines])


def _row(line: Standing, metric: str, name: str) -> tuple[Any, ...]:
    one, form = line.candidate, words.value_format(metric)
    quality = "no score" if one.quality is None else _shown(one.quality, form)
    cost = usd(None) if one.cost is None else _shown(one.cost, usd)
    took = "too few" if one.latency is None else _shown(one.latency, seconds)
    why = said(line, name) if line.by is not None or one.lacks else None
    return (one.target, _badge(line), quality, cost, took, why)


def _shown(measure: Measure, form: Any) -> str:
    if measure.high is None and measure.low == measure.value:
        return f"at least {form(measure.value)}"
    if measure.low == measure.high:
        return str(form(measure.value))
    return f"{form(measure.value)} ({words.interval(measure.low, measure.high, form)})"


def _badge(line: Standing) -> Badge:
    if line.candidate.lacks:
        return Badge(text="apart")
    if line.by is None:
        return Badge(text="not dominated", tone=Tone.GOOD)
    return Badge(text="dominated", tone=Tone.BAD) if line.clear else Badge(text="not clearly")


def over(frame: pl.DataFrame | pl.LazyFrame, summary: Sequence[Summary], verdicts: Sequence[Verdict]) -> list[View]:
    """The picture, if records have what it needs, from scores and verdicts that are known already."""
    if not panel.needs <= set(frame.lazy().collect_schema().names()) or len({line.target for line in summary}) < 2:
        return []
    view = pareto(summary, verdicts, bills(frame), latencies(frame))
    return [] if view is None else [view]


def _build(frame: pl.DataFrame | pl.LazyFrame) -> View | None:
    # Before the scores, which another panel may be at.
    bills(frame), latencies(frame)
    return next(iter(over(frame, *summarized(frame))), None)


panel = Panel(needs=frozenset({"target", "sample_id", "error", "cost_usd", "latency_s"}), build=_build, place=12)
