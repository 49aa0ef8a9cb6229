import polars as pl
import pytest
from made_records import HOSTILE, frame_of, record

from mlaas_lab.panels import unscored
from mlaas_lab.schema import ScoreStatus
from mlaas_lab.view import to_html


@pytest.fixture
def plain(tmp_path):
    return frame_of(tmp_path / "r.parquet", [record(t, i, "yes", "yes") for t in "ab" for i in range(6)])


KINDS = pl.Series(["ok", "refused", "parse_error", "timeout", "judge_error", "not_applicable"] + ["ok"] * 6)


def test_nothing_where_every_answer_is_scored(plain):
    assert unscored.panel.build(plain) is None


def test_every_status_is_counted_and_none_is_a_score(plain):
    frame = plain.with_columns(exact_match_status=KINDS)
    a, b = unscored.accounts(frame)
    assert list(a.counts.values()) == [1] * 6
    assert (a.n_unscored, b.n_unscored, b.counts[ScoreStatus.OK]) == (5, 0, 6)
    view = unscored.panel.build(frame)
    assert view.summary.startswith("a: 5 of 6 answers have no exact_match (1 refused, 1 not readable, 1 too late, ")
    assert [row[2:] for row in view.table.rows] == [(1,) * 6, (6, 0, 0, 0, 0, 0)]


def test_a_call_without_an_answer_is_an_error_and_nothing_else(tmp_path):
    lost = [record("a", i, "", "yes", error="overloaded") for i in range(3)]
    frame = frame_of(tmp_path / "r.parquet", [*lost, record("a", 9, "yes", "yes")])
    assert unscored.accounts(frame)[0].n_unscored == 0
    assert unscored.panel.build(frame) is None


def test_what_a_judge_leaves_stands_in_its_own_account(plain):
    frame = plain.with_columns(exact_match_status=KINDS, exact_match_judge=pl.lit("m-1"))
    assert unscored.panel.build(frame) is None


def test_hostile_names_stay_text(plain):
    html = to_html(unscored.panel.build(plain.with_columns(exact_match_status=KINDS, target=pl.lit(HOSTILE[0]))))
    assert "<script" not in html
