"""Groups in records: questions on one document are not independent samples, and channels are no documents."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlaas_lab.commands.compare import Compare
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels.board import board
from mlaas_lab.schema import Decision
from mlaas_lab.spec import read
from mlaas_lab.tasks.eval import GROUPED, Eval


def table(rows):
    """Rows of (target, sample, group or None, score or None)."""
    kinds = {"target": pl.String, "sample_id": pl.String, "group": pl.String, "exact_match": pl.Float64}
    frame = pl.DataFrame(rows, schema=kinds, orient="row")
    status = pl.when(pl.col("exact_match").is_null()).then(pl.lit("timeout")).otherwise(pl.lit("ok"))
    return frame.with_columns(status.alias("exact_match_status"), pl.lit(None, pl.String).alias("exact_match_reason"))


def documents(groups, size, *, better_on):
    """b is right on all questions of the first `better_on` documents where a is wrong, and wrong on two where a is right."""
    rows = []
    for g in range(groups):
        for q in range(size):
            a = float(g >= better_on)
            b = float(g < better_on or g >= better_on + 2)
            rows += [("a", f"{g}-{q}", f"doc{g}", a), ("b", f"{g}-{q}", f"doc{g}", b)]
    return table(rows)


def test_answers_on_one_document_count_once():
    """Six documents won and two lost, of 30: p = 0.29. As 240 samples it would be 48 to 16, p < 0.001."""
    frame = documents(30, 8, better_on=6)
    (found,) = summarize(frame)[1]
    assert (found.test, found.verdict, found.n) == ("sign_flip_groups", Decision.UNDECIDED, 240)
    assert found.p_value == pytest.approx(2 * (1 + 8 + 28) / 256)
    assert found.ci_low < 0 < found.ci_high
    sabotaged = summarize(frame.drop("group"))[1][0]
    assert (sabotaged.test, sabotaged.verdict) == ("mcnemar", Decision.B_BETTER)


def test_means_are_as_wide_as_documents_differ():
    line = summarize(documents(30, 8, better_on=10))[0][0]
    alone = summarize(documents(30, 8, better_on=10).drop("group"))[0][0]
    assert (line.n, line.n_groups, alone.n_groups) == (240, 30, None)
    assert line.mean == alone.mean
    assert line.ci_high - line.ci_low > 2 * (alone.ci_high - alone.ci_low)


def test_enough_documents_decide():
    (found,) = summarize(documents(40, 5, better_on=20))[1]
    assert found.verdict == Decision.B_BETTER


def test_few_documents_cannot_tell():
    (found,) = summarize(documents(5, 4, better_on=3))[1]
    assert (found.verdict, found.ci_low, found.p_value) == (Decision.UNDECIDED, None, None)
    assert "5 groups" in found.reason
    assert found.more_samples is not None


def test_more_needed_is_said_in_samples():
    (found,) = summarize(documents(30, 8, better_on=6))[1]
    assert found.more_samples > 8 * 10


def test_channels_are_no_documents():
    """Three kinds with 80 samples each: nothing is drawn between them."""
    frame = documents(3, 80, better_on=1)
    (lines, verdicts), (plain, same) = summarize(frame), summarize(frame.drop("group"))
    assert ([replace(line, grouping=None) for line in lines], verdicts) == (plain, same)
    assert {line.grouping for line in lines} == {"kinds"}
    assert summarize(frame, grouped=True)[1][0].verdict == Decision.UNDECIDED
    assert summarize(documents(30, 8, better_on=6), grouped=False)[1][0].verdict == Decision.B_BETTER


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_groups_of_one_or_of_none_change_nothing(seed, named):
    generator = np.random.default_rng(seed)
    rows = [
        (target, str(i), f"g{i}" if named else None, float(generator.integers(2))) for target in "ab" for i in range(40)
    ]
    frame = table(rows)
    assert summarize(frame) == summarize(frame.drop("group"))


def test_a_sample_without_a_group_is_its_own():
    rows = [(t, f"{g}-{q}", f"doc{g}", float(g % 2)) for t in "ab" for g in range(20) for q in range(3)]
    rows += [(t, f"x{i}", None, 1.0) for t in "ab" for i in range(7)]
    assert [line.n_groups for line in summarize(table(rows))[0]] == [27, 27]


def test_groups_without_a_score_are_not_counted():
    rows = [(t, f"{g}-{q}", f"doc{g}", 1.0 if g else None) for t in "ab" for g in range(20) for q in range(3)]
    assert [(line.n, line.n_groups, line.n_error) for line in summarize(table(rows))[0]] == [(57, 19, 3)] * 2


@pytest.mark.parametrize(
    ("groups", "grouped", "said", "counts"),
    [
        (30, None, "in 30 groups that look drawn from many", True),
        (30, True, "in 30 groups that depend within (--grouped yes)", True),
        (30, False, "each sample stands for itself (--grouped no)", False),
        (3, None, "look like a few kinds", False),
        (3, True, "in 3 groups that depend within (--grouped yes)", True),
    ],
)
def test_the_board_says_what_counted_and_why(groups, grouped, said, counts):
    summary, verdicts = summarize(documents(groups, 240 // groups, better_on=1), grouped=grouped)
    notes = board(summary, verdicts).notes
    assert [said in note for note in notes] == [True]
    assert {line.n_groups for line in summary} == ({groups} if counts else {None})
    assert ("groups" in verdicts[0].test) == (counts and groups > 5)


def test_without_groups_the_board_is_silent():
    for frame in (documents(30, 8, better_on=1).drop("group"), documents(30, 1, better_on=1)):
        assert not board(*summarize(frame)).notes


def test_the_flag_is_a_word_of_evaluations_and_comparisons():
    words = ["--data", "x", "--targets", "echo/a"]
    assert [GROUPED[read(Eval, [*words, "--grouped", word]).grouped] for word in ("auto", "yes", "no")] == [
        None,
        True,
        False,
    ]
    assert read(Compare, ["r.parquet"]).grouped is None
    with pytest.raises(UsageError, match="--grouped 'maybe'"):
        read(Compare, ["r.parquet", "--grouped", "maybe"])
