"""Which samples a reviewer sees first, and who stands left."""

import polars as pl
import pytest
from made_records import duel, frame_of, record

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.reviewing.ordering import paired
from mlaas_lab.reviewing.review import Review


def graded(values):
    """Two targets; each pair of `values` is the scores of one sample, with what was said."""
    for i, (first, second, said_a, said_b) in enumerate(values):
        yield record("a/x", i, said_a, "ref"), first
        yield record("b/x", i, said_b, "ref"), second


def frame_with(path, values):
    rows = list(graded(values))
    frame = frame_of(path, [one for one, _ in rows])
    known = {(one.target, one.sample_id): score for one, score in rows}
    scores = [known[key] for key in frame.select("target", "sample_id").iter_rows()]
    return frame.with_columns(
        pl.Series("exact_match", scores, dtype=pl.Float64),
        pl.Series("exact_match_status", ["ok" if score is not None else "judge_error" for score in scores]),
    )


def test_widest_first_then_other_words_then_the_rest(tmp_path):
    values = [
        (0.5, 0.5, "same", "same"),
        (0.4, 0.6, "x", "y"),
        (0.5, 0.5, "one", "other"),
        (1.0, 0.0, "x", "y"),
        (None, 1.0, "p", "q"),
        (0.0, 1.0, "x", "y"),
    ]
    pairs = paired(frame_with(tmp_path / "r.parquet", values), "a/x", "b/x")
    assert [pair.sample for pair in pairs.order] == ["s3", "s5", "s1", "s2", "s4", "s0"]
    assert [pair.gap for pair in pairs.order][:2] == [-1.0, 1.0]
    assert [pairs.scored(pair) for pair in pairs.order] == ["a", "b", "b", "tie", None, "tie"]
    again = paired(frame_with(tmp_path / "r.parquet", values), "a/x", "b/x")
    assert again.order == pairs.order, "the same each time"


def test_metric_where_less_is_better_prefers_less(tmp_path):
    endings = ("", "_status", "_reason")
    names = {f"exact_match{end}": f"edit_distance{end}" for end in endings}
    frame = frame_with(tmp_path / "r.parquet", [(0.1, 0.9, "x", "y")])
    pairs = paired(frame.rename(names), "a/x", "b/x")
    assert pairs.scored(pairs.order[0]) == "a"
    nobody = {f"exact_match{end}": f"unheard_of{end}" for end in endings}
    pairs = paired(frame.rename(nobody), "a/x", "b/x")
    assert (pairs.metric, pairs.scored(pairs.order[0])) == ("unheard_of", None), "nobody knows which way is better"


def test_samples_that_share_an_id_are_told_apart_and_repeats_count_once(tmp_path):
    rows = [record(t, 1, f"{ref} {t}", ref, repeat=n) for ref in ("one", "two") for t in ("a/x", "b/x") for n in (0, 1)]
    pairs = paired(frame_of(tmp_path / "r.parquet", rows), "a/x", "b/x")
    names = [pair.sample for pair in pairs.order]
    assert len(names) == 2 == len(set(names))
    assert all(name.startswith("s1#") for name in names)


def test_a_failed_side_is_shown_and_two_failed_sides_are_not(tmp_path):
    rows = [record("a/x", 0, "", "r", error="timeout"), record("b/x", 0, "yes", "r")]
    rows += [record("a/x", 1, "", "r", error="timeout"), record("b/x", 1, "", "r", error="timeout")]
    pairs = paired(frame_of(tmp_path / "r.parquet", rows), "a/x", "b/x")
    assert [(pair.sample, pair.differs) for pair in pairs.order] == [("s0", True)]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [("bd", "good", "Did you mean 'bad'"), ("bad", "bad", "against itself"), ("bad", "nobody", "no target 'nobody'")],
)
def test_unknown_targets_are_one_line(tmp_path, a, b, said):
    with pytest.raises(UsageError, match=said):
        paired(frame_of(tmp_path / "r.parquet", duel(n=2)), a, b)


def test_records_without_answers_cannot_be_reviewed(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", duel(n=2)).drop("output")
    with pytest.raises(DataError, match="no column output"):
        paired(frame, "bad", "good")


def test_sides_are_drawn_per_reviewer_and_sample_and_stay(tmp_path):
    review = Review.begin(tmp_path, "a/x", "b/x", blind=True, seed=7)
    sides = [review.left("ada", f"s{i}") for i in range(400)]
    assert 150 < sides.count("a") < 250
    assert sides == [Review(review.path).left("ada", f"s{i}") for i in range(400)]
    others = [review.left("bob", f"s{i}") for i in range(400)]
    assert 120 < sum(one != other for one, other in zip(sides, others, strict=True)) < 280, "each is drawn anew"
    other = Review.begin(tmp_path / "other", "a/x", "b/x", blind=True, seed=8)
    assert sides != [other.left("ada", f"s{i}") for i in range(400)]
