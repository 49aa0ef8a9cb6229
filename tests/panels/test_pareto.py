"""Who is behind whom in quality, cost and latency: claimed where the intervals say so, never by estimates alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from made_records import HOSTILE, frame_of, record

from mlaas_lab.evaluation import frontier
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.evaluation.frontier import Candidate, Measure, standings
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels import pareto
from mlaas_lab.panels.latency import latencies
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.view import to_html, to_text

AXES = ("quality", "cost", "latency")


def exactly(value):
    return Measure(value=value, low=value, high=value)


def about(value, half):
    return Measure(value=value, low=value - half, high=value + half)


def candidate(name, quality, cost, latency):
    measures = [one if one is None or isinstance(one, Measure) else exactly(one) for one in (quality, cost, latency)]
    return Candidate(target=name, **dict(zip(AXES, measures, strict=True)))


def verdict(a, b, low, high, said=None):
    """b has between `low` and `high` more than a; decided where 0 is not in between."""
    decided = Decision.B_BETTER if low > 0 else Decision.A_BETTER if high < 0 else Decision.UNDECIDED
    return Verdict(
        a=a,
        b=b,
        metric="m",
        difference=(low + high) / 2,
        ci_low=low,
        ci_high=high,
        p_value=0.01,
        p_adjusted=0.01,
        verdict=said or decided,
        n=100,
        test="sign_flip",
    )


def two(other, own, *found, **more):
    return standings([other, own], found, **more)[1]


def test_worse_on_all_axes_is_dominated():
    line = two(candidate("x", 0.9, 1, 1), candidate("y", 0.6, 2, 2), verdict("x", "y", -0.4, -0.2))
    assert (line.by, line.dominated, line.worse) == ("x", True, AXES)
    assert pareto.said(line, "p99") == "dominated by x: worse on quality, cost and p99"


def test_equal_but_dearer_is_dominated_where_equality_is_known():
    same = verdict("x", "y", -0.01, 0.01, Decision.EQUIVALENT)
    line = two(candidate("x", 0.9, 1, 1), candidate("y", 0.9, 2, 1), same)
    assert pareto.said(line, "p99") == "dominated by x: not better on any axis, worse on cost"
    open_one = two(candidate("x", 0.9, 1, 1), candidate("y", 0.9, 2, 1), verdict("x", "y", -0.01, 0.01))
    assert not open_one.dominated
    assert pareto.said(open_one, "p99") == "behind x, not clearly: worse on cost, but the intervals leave quality open"


@pytest.mark.parametrize("axis", AXES)
def test_one_open_axis_leaves_it_open(axis):
    other, own = candidate("x", 0.9, 1, 1), candidate("y", 0.6, 2, 2)
    found = verdict("x", "y", -0.4, 0.1) if axis == "quality" else verdict("x", "y", -0.4, -0.2)
    if axis != "quality":
        own = replace(own, **{axis: about(2, 1.5)})
    line = two(other, own, found)
    assert (line.by, line.dominated, line.open) == ("x", False, (axis,))


@pytest.mark.parametrize("axis", AXES)
def test_better_on_one_axis_is_not_behind(axis):
    other, own = candidate("x", 0.9, 1, 1), candidate("y", 0.6, 2, 2)
    found = verdict("x", "y", 0.1, 0.2) if axis == "quality" else verdict("x", "y", -0.4, -0.2)
    if axis != "quality":
        own = replace(own, **{axis: exactly(0.5)})
    assert two(other, own, found).by is None


def test_less_may_be_better_in_quality_too():
    other, own = candidate("x", 0.1, 1, 1), candidate("y", 0.4, 2, 2)
    worse = verdict("x", "y", 0.2, 0.4, Decision.A_BETTER)
    assert two(other, own, worse, higher_is_better=False).dominated
    assert two(other, own, verdict("x", "y", 0.2, 0.4, Decision.UNDECIDED), higher_is_better=False).dominated is False
    assert two(other, own, verdict("x", "y", -0.4, -0.2, Decision.B_BETTER), higher_is_better=False).by is None


def test_a_verdict_counts_in_both_directions():
    other, own = candidate("x", 0.9, 1, 1), candidate("y", 0.6, 2, 2)
    assert two(other, own, verdict("y", "x", 0.2, 0.4)).dominated
    assert not two(other, own, verdict("y", "x", -0.1, 0.4)).dominated


@pytest.mark.parametrize("axis", AXES)
def test_who_has_no_number_is_compared_with_nobody(axis):
    first, last = candidate("x", 0.9, 1, 1), candidate("y", 0.6, 2, 2)
    found = verdict("x", "y", -0.4, -0.2)
    for pair in ([replace(first, **{axis: None}), last], [first, replace(last, **{axis: None})]):
        lines = standings(pair, [found])
        assert [line.by for line in lines] == [None, None]
    assert "unknown" in pareto.said(lines[1], "p99")


def test_a_lower_bound_can_be_behind_and_leads_nobody():
    """Some calls have no price: the bill is at least that."""
    bound = Measure(value=2, low=2, high=None)
    found = verdict("x", "y", -0.4, -0.2)
    assert two(candidate("x", 0.9, 1, 1), candidate("y", 0.6, bound, 2), found).dominated
    assert not two(
        candidate("x", 0.9, Measure(value=1, low=1, high=None), 1), candidate("y", 0.6, 2, 2), found
    ).dominated


def test_twins_are_behind_nobody():
    lines = standings([candidate("x", 0.9, 1, 1), candidate("y", 0.9, 1, 1)], [verdict("x", "y", -0.1, 0.1)])
    assert [line.by for line in lines] == [None, None]


def false_claims(rng, times=150, n=400):
    """How often one of two equal targets counts as dominated, when all there is between them is chance."""
    claimed = 0
    for i in range(times):
        rows = []
        for name in ("a", "b"):
            right = (rng.random(n) < 0.7).astype(float)
            rows.append(
                pl.DataFrame(
                    {
                        "target": name,
                        "sample_id": [str(k) for k in range(n)],
                        "repeat": 0,
                        "error": pl.Series([None] * n, dtype=pl.String),
                        "cost_usd": rng.integers(500, 1500, n) / 1e6,
                        "latency_s": rng.lognormal(0, 0.5, n),
                        "exact_match": right,
                        "exact_match_status": "ok",
                        "exact_match_reason": pl.Series([None] * n, dtype=pl.String),
                    }
                )
            )
        frame = pl.concat(rows)
        lines = pareto.found(*summarize(frame, seed=i), bills(frame), latencies(frame), metric="exact_match")
        claimed += any(line.dominated for line in lines)
    return claimed / times


def test_equal_targets_are_not_called_dominated_by_chance():
    assert false_claims(np.random.default_rng(5), times=40) == 0.0


def test_control_estimates_alone_would_call_them_so(monkeypatch):
    monkeypatch.setattr(frontier, "SURE", frozenset(frontier.Relation) - {frontier.Relation.AHEAD})
    real = frontier._against

    def by_estimates(own, other, axes):
        line = real(own, other, axes)
        return line and replace(line, clear=True)

    monkeypatch.setattr(frontier, "_against", by_estimates)
    assert false_claims(np.random.default_rng(5), times=20) > 0.1


def made(tmp_path, *, n=400, right=(0.9, 0.5), usd=("0.001", "0.003"), slow=(1, 3), names=("x", "y")):
    rng = np.random.default_rng(1)
    several = [
        record(name, i, "yes" if rng.random() < share else "no", "yes", usd=price, latency_s=k * (0.2 + i / 5000))
        for name, share, price, k in zip(names, right, usd, slow, strict=True)
        for i in range(n)
    ]
    return frame_of(tmp_path / "r.parquet", several)


def test_the_picture_names_the_dominated(tmp_path):
    view = pareto.panel.build(made(tmp_path))
    assert view.summary.splitlines()[0] == "y is dominated by x: worse on quality, cost and p99."
    (picture,) = view.marks
    assert [spot.hollow for spot in picture.spots] == [False, True]
    assert all(axis.low < axis.value < axis.high for spot in picture.spots for axis in (spot.y, spot.x[1]))
    assert "dominated by x" in to_text(view)
    assert "</svg>" in to_html(view)


def test_unpriced_stands_apart_and_never_at_nothing(tmp_path):
    view = pareto.panel.build(made(tmp_path, usd=("0.001", None)))
    assert [spot.x[0] is None for spot in view.marks[0].spots] == [False, True]
    assert view.table.rows[1][3] == "unpriced"
    assert "Apart, with an axis unknown: y." in view.summary
    html = to_html(view)
    assert "unpriced" in html
    assert "$0<" not in html.partition("</table>")[0].partition("<table")[2]


def test_all_unpriced_still_have_quality_and_latency(tmp_path):
    view = pareto.panel.build(made(tmp_path, usd=(None, None)))
    assert [spot.x[0] for spot in view.marks[0].spots] == [None, None]
    assert "dominated by" not in view.summary
    assert "unpriced" in to_html(view)


def test_a_percentile_of_few_answers_is_refused(tmp_path):
    few = pareto.panel.build(made(tmp_path, n=100))
    assert few.table.heads[4].title == "p95"
    assert any("p99 needs 368 answers" in note for note in few.notes)
    assert pareto.panel.build(made(tmp_path, n=400)).table.heads[4].title == "p99"


def test_nothing_to_compare_is_no_picture(tmp_path):
    assert pareto.panel.build(made(tmp_path, n=4)) is None
    alone = made(tmp_path).filter(pl.col("target") == "x")
    assert pareto.panel.build(alone) is None
    lost = [record(name, i, "", "yes", error="overloaded") for name in "xy" for i in range(20)]
    assert pareto.panel.build(frame_of(tmp_path / "l.parquet", lost)) is None
    assert pareto.panel.build(frame_of(tmp_path / "e.parquet", [])) is None


def test_who_never_answered_is_said_and_not_drawn(tmp_path):
    lost = [record("down", i, "", "yes", error="overloaded") for i in range(400)]
    frame = pl.concat([made(tmp_path), frame_of(tmp_path / "l.parquet", lost)])
    view = pareto.panel.build(frame)
    assert [spot.label for spot in view.marks[0].spots] == ["x", "y"]
    assert view.table.rows[2][2:5] == ("no score", "unpriced", "too few")


def test_hostile_names_stay_text(tmp_path):
    html = to_html(pareto.panel.build(made(tmp_path, n=40, names=(HOSTILE[0], HOSTILE[2]))))
    for tag in ("<script", "<svg onload"):
        assert tag not in html
    assert "&lt;script&gt;" in html
