"""The judges' accounts, by hand: what was judged, what failed and why, what the mean may be, what it cost."""

import polars as pl
import pytest
from made_records import HOSTILE, frame_of, record

from mlaas_lab import panels
from mlaas_lab.panels import judges
from mlaas_lab.view import to_html, to_text

NAME = "faithfulness?judge=openai/m"


@pytest.fixture
def frame(tmp_path):
    """Two targets, five answers each; the second lost one of them."""
    calls = [record("a", i, "yes", "yes") for i in range(5)]
    calls += [record("b", i, "yes", "yes", error="timed_out" if i == 4 else None) for i in range(5)]
    made = frame_of(tmp_path / "r.parquet", calls)
    statuses = ["ok", "ok", "parse_error", "refused", "ok", "ok", "ok", "not_applicable", "judge_error", "timeout"]
    values = [1.0, 0.5, None, None, 1.0, 0.0, 1.0, None, None, None]
    paid = [0.001, 0.002, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, None, None]
    return made.with_columns(
        pl.Series(NAME, values),
        pl.Series(f"{NAME}_status", statuses),
        pl.lit(None, pl.String).alias(f"{NAME}_reason"),
        pl.Series(f"{NAME}_cost_usd", paid),
        pl.Series(f"{NAME}_judge", ["m-1"] * 8 + [None] * 2),
        pl.Series(f"{NAME}_agreement", [1.0, 0.5] + [None] * 8),
    )


def test_each_target_has_its_account(frame):
    rows = {row[1]: row for row in judges.panel.build(frame).table.rows}
    assert rows["a"] == (NAME, "a", "m-1", 3, 2, "parse_error 1, refused 1", "50 % to 90 %", 0.75, "$0.006")
    assert rows["b"] == (NAME, "b", "m-1", 2, 1, "judge_error 1", "33 % to 67 %", None, "at least $0.003")


def test_the_sentence_says_who_judged_and_what_it_cost(frame):
    assert judges.panel.build(frame).summary == "m-1 judged 5 of 8 answers by faithfulness, for at least $0.009."
    assert judges.panel.build(frame.lazy()).summary == judges.panel.build(frame).summary


def test_what_nobody_was_asked_for_is_not_judged(frame):
    alone = frame.with_columns(
        pl.lit(None, pl.String).alias(f"{NAME}_judge"), pl.lit("ok").alias(f"{NAME}_status"), pl.lit(0.5).alias(NAME)
    )
    found = judges.panel.build(alone)
    assert found.summary == "Nobody was asked about faithfulness."
    assert [row[3] for row in found.table.rows] == [0, 0]


def test_unpriced_is_not_free(frame):
    unpriced = frame.with_columns(pl.lit(None, pl.Float64).alias(f"{NAME}_cost_usd"))
    found = judges.panel.build(unpriced)
    assert "for an unknown amount" in found.summary
    assert {row[-1] for row in found.table.rows} == {"an unknown amount"}


def test_without_a_judge_there_is_nothing_to_say(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("a", 0, "yes", "yes")])
    assert judges.panel.build(frame) is None
    assert "Judges" not in [view.title for view in panels.draw(frame)]


def test_it_stands_among_the_others_and_words_stay_words(frame):
    hostile = frame.with_columns(pl.lit(HOSTILE[0]).alias(f"{NAME}_judge"))
    (view,) = [view for view in panels.draw(hostile) if view.title == "Judges"]
    assert HOSTILE[0] not in to_html(view)
    assert "If failed ones were 0 to 1" in to_text(view, width=400)
