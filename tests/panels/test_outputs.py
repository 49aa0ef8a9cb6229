import numpy as np
import polars as pl
import pytest
from made_records import HOSTILE, duel, frame_of, record

from mlaas_lab.panels import _picking, outputs
from mlaas_lab.panels._picking import Pick
from mlaas_lab.view import to_html


def shown(frame):
    return [mark.label.removeprefix("Sample ") for mark in outputs.panel.build(frame).marks]


def test_disagreements_come_first_and_the_rest_is_counted(tmp_path):
    view = outputs.panel.build(frame_of(tmp_path / "r.parquet", duel(n=40, right=30)))
    assert len(view.marks) == outputs.SHOWN
    assert view.summary == (
        "10 of 40 samples with an answer are shown, disagreements first: 31 are scored differently, 0 only said differently, "
        "9 answered the same by all."
    )


def test_the_one_loss_of_a_clear_winner_is_seen(tmp_path):
    assert "s39" in shown(frame_of(tmp_path / "r.parquet", duel(n=40, right=30)))[:2]


def test_one_target_shows_its_lowest_scores(tmp_path):
    several = [record("a", i, "yes" if i != 7 else "no", "yes") for i in range(20)]
    assert shown(frame_of(tmp_path / "r.parquet", several))[0] == "s7"


def test_answers_stand_in_the_order_of_the_targets(tmp_path):
    view = outputs.panel.build(frame_of(tmp_path / "r.parquet", duel(n=6, right=6)))
    assert all([answer.target for answer in mark.answers] == ["bad", "good"] for mark in view.marks)


def test_error_stands_where_the_answer_would(tmp_path):
    several = [record("a", 0, "", "yes", error="overloaded"), record("b", 0, "yes", "yes")]
    (mark,) = outputs.panel.build(frame_of(tmp_path / "r.parquet", several)).marks
    assert (mark.answers[0].text, mark.answers[0].error) == (None, "overloaded: overloaded: try later")
    assert "exact_match 1" in mark.answers[1].note


def test_what_nobody_answered_is_no_agreement(tmp_path):
    several = [record(t, i, "", "yes", error="overloaded") for t in "ab" for i in range(4)]
    assert outputs.panel.build(frame_of(tmp_path / "r.parquet", several)) is None
    one = outputs.panel.build(frame_of(tmp_path / "s.parquet", [*several, record("c", 0, "yes", "yes")]))
    assert one.summary.startswith("1 of 1 samples with an answer are shown, disagreements first: 0 are scored")


def test_repeats_show_the_first(tmp_path):
    several = [record("a", 0, f"try {r}", "yes", repeat=r) for r in range(3)]
    (mark,) = outputs.panel.build(frame_of(tmp_path / "r.parquet", several)).marks
    assert [answer.text for answer in mark.answers] == ["try 0"]


def test_same_number_with_another_reference_is_another_sample(tmp_path):
    several = [record("a", 0, "x", "yes"), record("b", 0, "x", "no")]
    assert len(shown(frame_of(tmp_path / "r.parquet", several))) == 2


def test_hostile_text_stays_text(tmp_path):
    several = [record(t, i, text, text[::-1], prompt=text) for t in HOSTILE[:2] for i, text in enumerate(HOSTILE)]
    html = to_html(outputs.panel.build(frame_of(tmp_path / "r.parquet", several)))
    for tag in ("<script", "<img", "<iframe", "<svg onload", "\u202e", "\x1b", "\x00"):
        assert tag not in html


def test_messages_from_elsewhere_may_be_anything(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("a", i, "x", "y") for i in range(4)])
    odd = frame.with_columns(messages=pl.Series(["no json {", "[1, 2]", "[]", '[{"role": "user"}]']))
    assert len(outputs.panel.build(odd).marks) == 4
    assert len(outputs.panel.build(frame.drop("messages", "reference")).marks) == 4


def mixed(tmp_path):
    """Six samples that both get right, one that `b` loses, one that is said differently, one that `b` never answered."""
    several = [record(t, i, "yes", "yes") for t in "ab" for i in range(6)]
    several += [record("a", 6, "yes", "yes"), record("b", 6, "no", "yes")]
    several += [record("a", 7, "nay", "yes"), record("b", 7, "no", "yes")]
    several += [record("a", 8, "yes", "yes"), record("b", 8, "", "yes", error="overloaded")]
    return frame_of(tmp_path / "m.parquet", several)


@pytest.mark.parametrize(
    ("pick", "first", "n"),
    [(Pick.ANY, "s6", 9), (Pick.DISAGREEMENTS, "s6", 3), (Pick.ERRORS, "s8", 1), (Pick.WORST, "s7", 9)],
)
def test_samples_of_one_kind(tmp_path, pick, first, n):
    for frame in (mixed(tmp_path), mixed(tmp_path).lazy()):
        view = outputs.shown(frame, pick=pick, samples=2)
        assert view.marks[0].label == f"Sample {first}"
        assert (len(view.marks), f"of {n} samples" in view.summary) == (min(2, n), True)


def test_a_kind_that_is_not_there_is_said(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record(t, i, "yes", "yes") for t in "ab" for i in range(3)])
    assert outputs.shown(frame, pick=Pick.ERRORS).summary == "Every target answered every sample."
    assert "No answered sample" in outputs.shown(frame, pick=Pick.DISAGREEMENTS).summary


def test_a_table_in_any_order_shows_the_same(tmp_path):
    frame = mixed(tmp_path)
    mixed_up = frame.sort("sample_index", "target_index", maintain_order=True)
    for pick in Pick:
        one, other = (outputs.shown(each, pick=pick, samples=4) for each in (frame, mixed_up))
        assert [mark.label for mark in one.marks] == [mark.label for mark in other.marks]
        assert [[a.text for a in mark.answers] for mark in one.marks] == [
            [a.text for a in mark.answers] for mark in other.marks
        ]
        assert one.summary == other.summary


@pytest.mark.parametrize("pick", list(Pick))
def test_of_a_large_table_the_same_samples_come_first(tmp_path, pick, monkeypatch):
    rng = np.random.default_rng(3)
    n = 400
    scores = np.round(rng.random((2, n)), 1)
    scores[:, rng.random(n) < 0.5] = 1.0
    frame = frame_of(tmp_path / "r.parquet", [record(t, i, f"{t} {i % 7}", "yes") for t in "ab" for i in range(n)])
    frame = frame.with_columns(exact_match=pl.Series(scores.ravel()))
    whole = outputs.shown(frame, pick=pick, samples=12)
    monkeypatch.setattr(_picking, "MANY", 10)
    few = outputs.shown(frame, pick=pick, samples=12)
    assert [mark.label for mark in few.marks] == [mark.label for mark in whole.marks]
    assert few.summary == whole.summary


def test_rows_are_fetched_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(_picking, "NEAR", 3)
    frame = mixed(tmp_path)
    found = _picking._fetched(frame.lazy(), [0, 1, 7, 16], frame.columns)
    assert {row: one["sample_id"] for row, one in found.items()} == dict(
        zip([0, 1, 7, 16], frame["sample_id"].gather([0, 1, 7, 16]), strict=True)
    )
