"""Scores by group: the worst slice, real gaps and gaps that chance makes, and groups of one."""

import json
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest
from made_records import frame_of, record

from mlaas_lab import panels
from mlaas_lab.commands.compare import Comparison
from mlaas_lab.evaluation.slices import MOST, sliced
from mlaas_lab.panels import slices
from mlaas_lab.schema import Cost
from mlaas_lab.stats.fairness import gap_limits
from mlaas_lab.view import to_html, to_text


def rows(target="a", **groups):
    """For each group `name=(right, n)`."""
    found = []
    for name, (right, n) in groups.items():
        for i in range(n):
            made = record(target, len(found), "yes" if i < right else "no", "yes")
            found.append(replace(made, group=name))
    return found


@pytest.fixture
def table(tmp_path):
    return lambda *several: frame_of(tmp_path / "r.parquet", [row for part in several for row in part])


def test_the_worst_slice_and_its_gap(table):
    frame = table(rows(en=(90, 100), de=(50, 100), fr=(88, 100)))
    (found,) = sliced(frame)
    assert (found.worst.name, found.best.name, found.gap) == ("de", "en", pytest.approx(0.4))
    assert found.gap_low < 0.4 < found.gap_high
    assert not found.noise
    assert not found.slices[1].noise
    assert found.slices[1].gap == pytest.approx(0.5 - 0.89)
    assert found.worst.ratio == pytest.approx(5 / 9)
    assert found.worst.adverse
    view = slices.panel.build(frame)
    assert view.summary.startswith("a is worst by exact_match on de: 50 % against 90 % on en (gap 40 points, ")
    text = to_text(view, width=200)
    assert "below" in text
    assert "differs" in text


def test_an_interval_of_picked_extremes_is_wider_than_of_a_pair(table):
    scores = {"en": (90, 100), "de": (50, 100), "fr": (88, 100)}
    (found,) = sliced(table(rows(**scores)))
    values = [pl.Series([1.0] * right + [0.0] * (n - right)).to_numpy() for right, n in scores.values()]
    low, high = gap_limits(values[0], values[1])
    assert found.gap_low < low
    assert found.gap_high > high
    assert (found.gap_low, found.gap_high) == gap_limits(values[0], values[1], confidence=1 - 0.05 / 3)


def test_a_target_has_one_colour_in_all_its_slices(table):
    view = slices.panel.build(table(*(rows(name, en=(9, 10), de=(5, 10)) for name in "ab")))
    assert [(row.label, row.hue) for row in view.marks[0].rows] == [
        ("a · en", 0), ("a · de", 0), ("b · en", 1), ("b · de", 1),
    ]  # fmt: skip


def test_small_gaps_are_called_noise(table):
    view = slices.panel.build(table(rows(en=(15, 20), de=(13, 20), fr=(16, 20))))
    assert view.summary == "No gap between slices is more than chance would make (1 looked at)."
    assert "differs" not in to_text(view)


def test_a_group_of_one_row_says_so_and_is_no_worst(table):
    frame = table(rows(en=(18, 20), de=(0, 1), fr=(17, 20)))
    (found,) = sliced(frame)
    assert (found.single, found.worst.name) == (["de"], "fr")
    text = to_text(slices.panel.build(frame), width=200)
    assert "one row" in text
    assert "One row says nothing of a group: de." in text


def test_groups_without_a_score_and_samples_without_a_group(table):
    lost = [replace(record("a", 900 + i, "", "yes", error="overloaded"), group="it") for i in range(3)]
    alone = [record("a", 800 + i, "yes", "yes") for i in range(4)]
    frame = table(rows(en=(18, 20), de=(17, 20)), lost, alone)
    (found,) = sliced(frame)
    assert (found.unscored, found.n_without) == (["it"], 4)
    text = to_text(slices.panel.build(frame), width=200)
    assert "no score" in text
    assert "4 scored samples have no group" in text


def test_without_groups_the_panel_says_nothing(table):
    frame = table([record("a", i, "yes", "yes") for i in range(9)])
    assert slices.panel.build(frame) is None
    assert slices.panel.build(frame.drop("group").with_columns(group=pl.lit(None))) is None
    assert "Slices" not in [view.title for view in panels.draw(frame)]


def test_one_group_alone_is_compared_with_nothing(table):
    view = slices.panel.build(table(rows(en=(18, 20))))
    assert view.summary.startswith("Nothing can be compared")
    assert not view.children
    assert "alone" in to_text(view)


def test_documents_are_no_slices(table):
    frame = table(rows(**{f"d{i}": (1, 2) for i in range(MOST + 1)}))
    assert sliced(frame) == []
    assert slices.panel.build(frame).summary.startswith(f"The samples have {MOST + 1} groups; more than {MOST}")


def test_repeats_are_no_more_samples(table):
    once = rows(en=(15, 20), de=(9, 20))
    twice = [replace(made, repeat=r) for made in once for r in range(5)]
    assert sliced(table(once)) == sliced(table(twice))


def test_equal_slices_have_no_gap(table):
    (found,) = sliced(table(rows(en=(10, 20), de=(10, 20))))
    assert (found.gap, found.noise) == (0.0, True)


def test_an_unknown_metric_has_no_worst_slice(table):
    frame = table(rows(en=(18, 20), de=(2, 20)))
    frame = frame.rename({f"exact_match{end}": f"strange{end}" for end in ("", "_status", "_reason")})
    (found,) = sliced(frame)
    assert (found.worst, found.best, found.gap) == (None, None, None)
    assert "90 %" not in to_html(slices.panel.build(frame)), "nobody says that it is a share"


def test_compare_has_slices_and_bills_as_json(table, tmp_path):
    several = [replace(made, cost=Cost(usd=Decimal("0.001"))) for made in rows(en=(90, 100), de=(50, 100))]
    made = json.loads(json.dumps(Comparison(table(several)).as_json()))
    assert made["slices"][0]["worst"]["name"] == "de"
    assert made["success"][0]["successes"][0]["usd"] == pytest.approx(0.2 / 140)
