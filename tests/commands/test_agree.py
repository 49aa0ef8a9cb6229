"""`agree`: a metric against people's labels, on numbers anybody can work out, and what is wrong said in one line."""

import json

import polars as pl
import pytest
from made_records import record

from mlaas_lab import records
from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.view import to_html

JUDGED = "faithfulness?judge=echo/j"


def file_of(path, values, *, metric=JUDGED, targets=("m",), repeats=1):
    """Records whose scores are `values`, None for no score."""
    rows = [
        record(target, i, "yes", "yes", repeat=repeat)
        for target in targets
        for i in range(len(values))
        for repeat in range(repeats)
    ]
    frame = records.read(records.write(path, rows, metrics=("exact_match",), run_id="r"))
    scores = [value for _ in targets for value in values for _ in range(repeats)]
    frame = frame.with_columns(
        pl.Series(metric, scores, dtype=pl.Float64),
        pl.Series(f"{metric}_status", ["parse_error" if score is None else "ok" for score in scores]),
        pl.lit(None, pl.String).alias(f"{metric}_reason"),
        pl.lit("j").alias(f"{metric}_judge"),
    )
    frame.write_parquet(path)
    return path


def ids(path):
    return records.read(path)["sample_id"].unique(maintain_order=True).to_list()


def labels_of(path, rows, names="sample_id,label"):
    path.write_text("\n".join([names, *(",".join(map(str, row)) for row in rows), ""]))
    return path


def agree(lab, *words):
    return _dispatch.execute(["agree", *map(str, words)], lab)


PAIRS = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
"""Label and rating of the textbook's table: kappa 0.4."""


@pytest.fixture
def textbook(tmp_path):
    run = file_of(tmp_path / "r.parquet", [float(rating) for _, rating in PAIRS])
    return run, labels_of(tmp_path / "l.csv", zip(ids(run), [label for label, _ in PAIRS], strict=True))


def test_kappa_with_its_interval_and_who_said_what(lab, textbook):
    run, labels = textbook
    found = agree(lab, run, "--labels", labels)
    told = json.loads(json.dumps(found.as_json()))
    assert told["kappa"] == pytest.approx(0.4)
    assert (told["n"], told["observed"], told["by_chance"]) == (50, pytest.approx(0.7), pytest.approx(0.5))
    assert told["ci_low"] < 0.4 < told["ci_high"]
    assert told["counts"] == [
        {"label": 0, "rating": 0, "n": 15},
        {"label": 0, "rating": 1, "n": 10},
        {"label": 1, "rating": 0, "n": 5},
        {"label": 1, "rating": 1, "n": 20},
    ]
    assert (told["at"], told["notes"], told["metric"]) == (None, [], JUDGED)
    assert "kappa 0.4 (95 % interval" in found.summary
    assert "they agree on 70 %, by chance 50 %" in found.summary
    assert "judge 1" in to_html(found.view())


@pytest.mark.parametrize("form", ["jsonl", "tsv", "parquet", "words"])
def test_labels_in_any_form(lab, tmp_path, textbook, form):
    run, labels = textbook
    frame = pl.read_csv(labels).with_columns(pl.col("sample_id").cast(pl.String))
    other = tmp_path / f"other.{'csv' if form == 'words' else form}"
    match form:
        case "jsonl":
            frame.rename({"sample_id": "id"}).write_ndjson(other)
        case "tsv":
            frame.write_csv(other, separator="\t")
        case "parquet":
            frame.write_parquet(other)
        case _:
            words = pl.when(pl.col("label") == 1).then(pl.lit("Yes")).otherwise(pl.lit("no"))
            frame.with_columns(label=words).write_csv(other)
    assert agree(lab, run, "--labels", other).as_json()["kappa"] == pytest.approx(0.4)


def test_few_labels_and_missing_scores_are_said(lab, tmp_path):
    run = file_of(tmp_path / "r.parquet", [1.0, 0.0, None, 1.0])
    rows = [*zip(ids(run), [1, 0, 1, 1], strict=True), ("nobody", 1)]
    told = agree(lab, run, "--labels", labels_of(tmp_path / "l.csv", rows)).as_json()
    assert (told["n"], told["n_unscored"], told["n_unmatched"], told["kappa"]) == (3, 1, 1, 1.0)
    assert [note.split()[0:4] for note in told["notes"]] == [
        ["3", "labels", "are", "few:"],
        ["1", "labelled", "answers", "have"],
        ["1", "labels", "are", "of"],
    ]


def test_one_rating_only_has_no_kappa(lab, tmp_path):
    run = file_of(tmp_path / "r.parquet", [1.0] * 40)
    found = agree(lab, run, "--labels", labels_of(tmp_path / "l.csv", [(name, 1) for name in ids(run)]))
    assert found.as_json()["kappa"] is None
    assert "no kappa" in found.summary


def test_values_between_are_cut_and_it_is_said(lab, tmp_path):
    run = file_of(tmp_path / "r.parquet", [0.9, 0.4, 0.6, 0.1])
    labels = labels_of(tmp_path / "l.csv", zip(ids(run), [1, 0, 0, 0], strict=True))
    half, high = agree(lab, run, "--labels", labels), agree(lab, run, "--labels", labels, "--at", "0.8")
    assert (half.as_json()["at"], half.as_json()["observed"]) == (0.5, 0.75)
    assert (high.as_json()["at"], high.as_json()["observed"]) == (0.8, 1)
    assert "at least 0.5" in half.view().table.caption


def test_a_rubric_is_compared_on_its_own_scale(lab, tmp_path):
    metric = "rubric?judge=echo/j&criteria=x&scale=5"
    run = file_of(tmp_path / "r.parquet", [0.0, 0.25, 0.5, 0.75, 1.0, 1.0], metric=metric)
    labels = labels_of(tmp_path / "l.csv", zip(ids(run), [1, 2, 3, 4, 5, 4], strict=True))
    plain = agree(lab, run, "--labels", labels, "--metric", "rubric").as_json()
    near = agree(lab, run, "--labels", labels, "--weights", "quadratic").as_json()
    assert plain["observed"] == pytest.approx(5 / 6)
    assert near["kappa"] > plain["kappa"]
    assert {(one["label"], one["rating"]) for one in plain["counts"]} == {
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (4, 5),
    }
    with pytest.raises(DataError, match=r"label of sample .* is 7, expected a whole number from 1 to 5"):
        agree(lab, run, "--labels", labels_of(tmp_path / "w.csv", [(ids(run)[0], 7)]))


@pytest.mark.parametrize("how", [{"targets": ("m", "k")}, {"repeats": 2}])
def test_labels_say_which_answer_they_are_of(lab, tmp_path, how):
    run = file_of(tmp_path / "r.parquet", [1.0, 0.0], **how)
    with pytest.raises(UsageError, match="a label stands for several answers"):
        agree(lab, run, "--labels", labels_of(tmp_path / "l.csv", [(name, 1) for name in ids(run)]))
    frame = records.read(run)
    rows = [(r["sample_id"], r["target"], r["repeat"], r[JUDGED]) for r in frame.iter_rows(named=True)]
    labels = labels_of(tmp_path / "l.csv", rows, "sample_id,target,repeat,label")
    assert agree(lab, run, "--labels", labels).as_json()["n"] == 4
    if "targets" in how:
        labels = labels_of(tmp_path / "l.csv", [(name, 1) for name in ids(run)])
        assert agree(lab, run, "--labels", labels, "--target", "k").as_json()["n"] == 2
        with pytest.raises(UsageError, match="no target 'x'"):
            agree(lab, run, "--labels", labels, "--target", "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sample_id,mark\n1,1\n", "has no column label"),
        ("sample_id,label\n1,maybe\n", "row 1: label 'maybe' is no number and none of yes"),
        ("sample_id,label\nnobody,1\n", "none of the 1 labels is of a sample"),
        ("", "cannot be read"),
    ],
)
def test_a_bad_file_is_one_line(lab, tmp_path, textbook, text, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        agree(lab, textbook[0], "--labels", path)


def test_a_label_off_the_scale_and_a_metric_that_is_not_there(lab, tmp_path, textbook):
    run, labels = textbook
    with pytest.raises(DataError, match="is 3, expected a number from 0 to 1"):
        agree(lab, run, "--labels", labels_of(tmp_path / "w.csv", [(ids(run)[0], 3)]))
    with pytest.raises(UsageError, match="no metric 'faithful'"):
        agree(lab, run, "--labels", labels, "--metric", "faithful")
    with pytest.raises(DataError, match="does not exist"):
        agree(lab, run, "--labels", tmp_path / "nowhere.csv")
    assert agree(lab, run, "--labels", labels, "--metric", "exact_match").as_json()["metric"] == "exact_match"
