import polars as pl
from made_records import HOSTILE, duel, frame_of, record

from mlaas_lab.panels import outputs
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
