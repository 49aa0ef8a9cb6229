"""The rows behind a number are those that it was computed from."""

import polars as pl
import pytest
from made_records import duel, frame_of, record

from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.widgets.behind import Behind
from mlaas_lab.widgets.which import Only, Which


@pytest.fixture
def frame(tmp_path):
    several = list(duel(n=30, right=20))
    several += [
        record("bad", 40, "", "yes", error="overloaded"),
        record("good", 40, "yes", "yes", usd="0.002", latency_s=3),
    ]
    several += [record("bad", 41, "no", "yes", usd="0.5", latency_s=9), record("good", 41, "", "yes", error="timeout")]
    return frame_of(tmp_path / "r.parquet", several)


@pytest.fixture
def behind(frame):
    return Behind(frame)


def ids(behind, **which):
    rows = behind.page([int(n) for n in behind.pick(Which(**which))])
    return [several[0]["sample_id"] for several in rows]


def test_errors_are_those_of_the_target_that_was_asked_about(behind):
    assert ids(behind, only=Only.ERRORS) == ["s40", "s41"]
    assert ids(behind, only=Only.ERRORS, target=0) == ["s40"]
    assert ids(behind, only=Only.ERRORS, error=behind.choices.errors.index("timeout")) == ["s41"]
    assert ids(behind, only=Only.UNSCORED, target=1, metric=0) == ["s41"]


def test_disagreements_of_a_pair_are_as_many_as_its_verdict_says(behind, frame):
    (verdict,) = summarize(frame)[1]
    more, less = ids(behind, a=0, b=1, only=Only.B_MORE), ids(behind, a=0, b=1, only=Only.A_MORE)
    assert verdict.difference == pytest.approx((len(more) - len(less)) / verdict.n)
    assert sorted(ids(behind, a=0, b=1, only=Only.APART)) == sorted(more + less)
    assert less == ["s29"]
    assert "s29" in ids(behind, only=Only.APART)[:2], "the few losses of a winner take turns with its wins"


def test_worst_slowest_and_dearest_come_first(behind):
    assert ids(behind, only=Only.WORST, target=0)[-1] == "s29"
    assert ids(behind, only=Only.SLOWEST)[:2] == ["s41", "s40"]
    assert ids(behind, only=Only.SLOWEST, target=1)[0] == "s40"
    assert ids(behind, only=Only.DEAREST) == ["s41", "s40"]
    assert "s0" in ids(behind, only=Only.UNPRICED)
    assert ids(behind, only=Only.RETRIED) == []


def test_all_have_their_order(behind, frame):
    assert ids(behind, only=Only.ALL) == frame["sample_id"].unique(maintain_order=True).to_list()


def test_words_are_found_in_what_was_asked_and_said(behind):
    assert ids(behind, only=Only.ALL, find="QUESTION 29") == ["s29"]
    assert ids(behind, only=Only.ALL, find="try later") == ["s40", "s41"]
    assert ids(behind, only=Only.ALL, find=".*") == [], "words, no pattern"


def test_lower_is_better_turns_the_worst_around(frame):
    turned = frame.rename({name: name.replace("exact_match", "edit_distance") for name in frame.columns})
    assert ids(Behind(turned), only=Only.WORST, target=0)[0] == "s29"


def test_repeats_are_averaged_as_the_mean_is(tmp_path):
    several = [record(t, 0, said, "yes", repeat=r) for t in "ab" for r, said in enumerate(["yes", "no", "yes"])]
    several += [record("a", 1, "yes", "yes"), record("b", 1, "no", "yes")]
    behind = Behind(frame_of(tmp_path / "r.parquet", several))
    assert ids(behind, only=Only.APART) == ["s1"], "two of three and two of three are the same"
    (rows,) = behind.page([0])
    assert [(row["target"], row["repeat"]) for row in rows] == [(t, r) for t in "ab" for r in range(3)]


def test_same_number_with_another_reference_is_another_sample(tmp_path):
    several = [record("a", 0, "x", "yes"), record("b", 0, "x", "no"), record("c", 0, "x", None)]
    assert Behind(frame_of(tmp_path / "r.parquet", several)).n == 3


def test_not_a_number_is_no_score(frame):
    spoilt = frame.with_columns(
        exact_match=pl.when(pl.col("sample_id") == "s0").then(float("nan")).otherwise("exact_match")
    )
    behind = Behind(spoilt)
    assert "s0" in ids(behind, only=Only.UNSCORED)
    assert "s0" not in ids(behind, only=Only.APART)


def test_table_with_the_least_columns_can_be_looked_at():
    behind = Behind(
        pl.DataFrame({"target": ["a", "b"], "sample_id": ["1", "1"], "repeat": [0, 0], "error": [None, "x"]})
    )
    assert ids(behind, only=Only.ERRORS) == ["1"]
    for only in Only:
        ids(behind, only=only)


def test_export_has_all_records_of_the_samples_in_their_order(behind, frame):
    found = behind.records(Which(only=Only.SLOWEST))
    assert found.columns == frame.columns
    assert found["sample_id"][:4].to_list() == ["s41", "s41", "s40", "s40"]
