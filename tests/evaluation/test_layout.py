"""A table is read as a grid where it is one, and says the same where it is none, or is large."""

import polars as pl
import pytest
from made_records import duel, frame_of, record

from mlaas_lab.evaluation import layout
from mlaas_lab.evaluation.layout import grid, keyed
from mlaas_lab.evaluation.sharing import shared, sharing, together
from mlaas_lab.evaluation.summary import summarize


@pytest.fixture
def table(tmp_path):
    return frame_of(tmp_path / "r.parquet", duel(n=40, right=30))


def test_what_an_evaluation_writes_is_a_grid(table):
    found = grid(table)
    assert (found.targets, found.n) == (["bad", "good"], 40)
    assert found.parts(table["exact_match"])["good"].sum() == 30


@pytest.mark.parametrize(
    "broken",
    [
        lambda t: t.sample(fraction=1.0, shuffle=True, seed=1),
        lambda t: t.sort("sample_index", maintain_order=True),
        lambda t: t.slice(1),
        lambda t: t.with_columns(
            reference=pl.when(pl.int_range(pl.len()) == 41).then(pl.lit("x")).otherwise("reference")
        ),
        lambda t: pl.concat([t, t]),
        lambda t: t.with_columns(sample_id=pl.lit("s")),
        lambda t: t.clear(),
    ],
)
def test_what_is_none_is_not_taken_for_one(table, broken):
    assert grid(broken(table)) is None


def test_a_table_in_any_order_says_the_same(table):
    mixed = table.sort("sample_index", "target_index", maintain_order=True)
    assert grid(mixed) is None
    assert summarize(mixed) == summarize(table)


def test_a_large_table_says_what_a_small_one_does(table, monkeypatch):
    expected = summarize(table)
    monkeypatch.setattr(layout, "LARGE", 1)
    assert keyed(table)["sample_id"].dtype == pl.Int32
    assert summarize(table) == expected
    assert summarize(table.lazy()) == expected
    for without in (table.drop("sample_index"), table.with_columns(sample_index=pl.lit(None, pl.Int32))):
        assert keyed(without)["sample_id"].dtype == pl.UInt64
        assert summarize(without) == expected


def test_two_runs_may_number_their_samples_alike(tmp_path, monkeypatch):
    """Two files with other data: the same places and ids, other references. Nothing there is a pair."""
    one = frame_of(tmp_path / "a.parquet", [record("a", i, "yes", "yes") for i in range(9)], run_id="one")
    two = frame_of(tmp_path / "b.parquet", [record("b", i, "no", "no") for i in range(9)], run_id="two")
    both = pl.concat([one, two])
    for large in (layout.LARGE, 1):
        monkeypatch.setattr(layout, "LARGE", large)
        _, (verdict,) = summarize(both)
        assert verdict.n == 0


def test_results_are_shared_while_one_picture_is_drawn_and_no_longer(table):
    asked = []

    @shared
    def rows(frame):
        asked.append(frame.height)
        return frame.height

    with sharing():
        assert rows(table) == rows(table) == 80
        assert rows(table.head(3)) == 3
    assert asked == [80, 3]
    assert rows(table) == 80
    assert asked == [80, 3, 80]


def test_what_several_ask_at_the_same_time_is_found_once(table):
    asked = []

    @shared
    def rows(frame):
        asked.append(frame.height)
        return frame.height

    with sharing():
        assert together([lambda: rows(table)] * 6) == [80] * 6
    assert asked == [80]
    together([lambda: rows(table)] * 6)
    assert len(asked) == 7


def test_a_question_that_fails_fails_for_who_asked(table):
    def ask(divisor):
        return 1 // divisor

    with pytest.raises(ZeroDivisionError):
        together([lambda: ask(1), lambda: ask(0)])
