"""What is wrong or too little: one line that names it before anybody is asked, or an honest "not decided"."""

import json

import numpy as np
import pytest
from loopback import Loopback

from mlaas_lab.cli import main
from mlaas_lab.errors import LabError
from mlaas_lab.evaluation.run import run
from mlaas_lab.panels import board, slices
from mlaas_lab.records import read
from mlaas_lab.schema import Score

Q = [{"role": "user", "content": "q"}]


def row(said, wanted=None, **more):
    answer = [] if wanted is None else [{"role": "assistant", "content": wanted}]
    return {"messages": [{"role": "user", "content": said}, *answer], **more}


@pytest.fixture
def file(tmp_path):
    """Writes rows as JSON lines."""

    def file(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
        return path

    return file


BAD = {
    "no reference": ([row("a", "b"), row("c")], {}, "exact_match needs reference, and 1 of 2 samples have none"),
    "a blank reference": ([row("a", "b"), row("c", " \n")], {}, "needs reference, and 1 of 2 samples have none"),
    "no contexts": ([row("a", "b")], {"metrics": "groundedness"}, "groundedness needs contexts, and 1 of 1 samples"),
    "blank contexts": ([row("a", "b", contexts=[" "])], {"metrics": "groundedness"}, "and 1 of 1 samples have none"),
    "one id twice": ([row("a", "b", id="x"), row("c", "d", id="x")], {}, "lines 1 and 2 have the same id 'x'"),
    "1 and '1'": ([row("a", "b", id=1), row("c", "d", id="1")], {}, "lines 1 and 2 have the same id '1'"),
    "another schema": ([row("a", "b"), {"text": "c"}], {}, ":2: the columns are text; expected messages"),
    "no object": ([row("a", "b"), [1, 2]], {}, ":2: the row is a list, expected an object"),
    "a schema without answers": ([row("a", "b"), {"prompt": "c"}], {}, "1 of 2 samples have none"),
    "no rows": ([], {}, "has no rows"),
    "no targets": ([row("a", "b")], {"targets": ""}, "--targets is empty, expected at least one"),
    "commas for targets": ([row("a", "b")], {"targets": ", ,"}, "--targets is empty, expected at least one"),
    "one target twice": ([row("a", "b")], {"targets": "echo/x,echo/x"}, "target 'echo/x' is named 2 times"),
    "one class": ([row("a", "yes"), row("b", "yes")], {"metrics": "auc_roc"}, "all 2 references are positive"),
    "no classes": ([row("a", "cat"), row("b", "no")], {"metrics": "auc_roc"}, "are neither yes nor no, as 'cat'"),
    "no such column": (
        [row("a", "b", group="x", shop="y")],
        {"group": "town"},
        "--group town: no row has anything in such a column",
    ),
    "labels for none": ([row("a", "b")], {"metrics": "macro_f1?labels=b"}, "expected at least two"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_one_line_before_anybody_is_asked(name, file, context, spec):
    rows, options, says = BAD[name]
    with Loopback() as server:
        values = {"data": file(rows), "targets": f"openai/m?base_url={server.base_url}", **options}
        with pytest.raises(LabError) as caught:
            run(spec(**values), context)
        assert server.requests == []
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not context.folder.records.exists()


# What data says is found by the job, in a process of its own.
@pytest.mark.parametrize("name", [pytest.param("one id twice", marks=pytest.mark.long), "no targets"])
def test_the_command_line_says_the_same(name, file, capsys):
    rows, options, says = BAD[name]
    words = ["--data", str(file(rows)), "--targets", options.get("targets", "echo/x"), "--json"]
    assert main(["eval", *words]) in (1, 2)
    said = capsys.readouterr()
    assert says in json.loads(said.out)["error"]["message"]
    assert "Traceback" not in said.err


def test_equal_rows_without_an_id_are_two_samples(file, context, spec):
    found = run(spec(data=file([row("a", "a"), row("a", "a")]), targets="echo/x"), context).result
    assert [line["n"] for line in found["summary"]] == [2, 2]


NOT_NUMBERS = {
    "nan": lambda output, sample: float("nan"),
    "inf": lambda output, sample: float("inf"),
    "numpy's nan": lambda output, sample: np.float64("nan"),
    "a score of nan": lambda output, sample: Score(value=float("nan")),
    "a score of inf": lambda output, sample: Score(value=float("-inf")),
    "a score of text": lambda output, sample: Score(value="good"),
    "text": lambda output, sample: "good",
    "a list": lambda output, sample: [0.5],
    "a dictionary": lambda output, sample: {"score": 1},
    "nothing": lambda output, sample: None,
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_what_a_metric_of_others_returns_is_no_score(name, file, context, spec, metric):
    """Half of the answers have a score: the mean is theirs, and the others are counted."""
    metric("theirs", score=lambda output, sample: 1.0 if output == "right" else NOT_NUMBERS[name](output, sample))
    data = file([row("right" if i % 2 else "other", "right") for i in range(8)])
    outcome = run(spec(data=data, targets="echo/a,echo/b", metrics="theirs,exact_match"), context)
    for line in outcome.result["summary"][:2]:
        assert (line["mean"], line["n"], line["n_error"]) == (1.0, 4, 4)
    assert outcome.metrics["theirs.echo_a"] == 1.0
    frame = read(context.folder.records)
    broken = frame.filter(frame["output"] == "other")
    assert broken["theirs"].null_count() == 8
    assert set(broken["theirs_status"]) <= {"judge_error", "parse_error", "not_applicable"}
    assert broken["theirs_reason"].null_count() == 0
    assert frame["exact_match"].null_count() == 0, "one metric takes nothing from another"


def verdicts(file, context, spec, rows, **options):
    return run(spec(data=file(rows), **{"targets": "echo/a,echo/b", **options}), context).result["verdicts"]


def test_three_samples_are_too_few(file, context, spec):
    for found in verdicts(file, context, spec, [row(str(i), str(i % 2)) for i in range(3)]):
        assert (found["verdict"], found["p_value"]) == ("undecided", None)
        assert found["reason"] == "3 pairs, and fewer than 6 cannot tell"


def test_three_samples_won_by_one_are_too_few(file, context, spec):
    with Loopback(reply=lambda body: "wrong") as server:
        targets = f"echo/a,openai/m?base_url={server.base_url}"
        (found,) = verdicts(file, context, spec, [row(str(i), str(i)) for i in range(3)], targets=targets, metrics="exact_match")  # fmt: skip
    assert (found["difference"], found["verdict"]) == (-1.0, "undecided")
    assert found["ci_low"] == -1.0 < found["ci_high"]
    assert found["more_samples"] >= 3
    assert "3 pairs" in found["reason"]


def test_identical_targets_are_not_told_apart(file, context, spec):
    for found in verdicts(file, context, spec, [row(str(i), str(i % 3)) for i in range(40)]):
        assert (found["verdict"], found["difference"], found["p_value"]) == ("undecided", 0.0, None)
        assert found["reason"] == "no pair differs"
        assert found["ci_low"] < 0 < found["ci_high"]


@pytest.mark.parametrize(("metric_", "low"), [("exact_match", 0.8), ("length_words", None), ("macro_f1", 0.6)])
def test_a_constant_metric_is_no_certainty(metric_, low, file, context, spec):
    """All right is no 100 % to 100 %; a length that is always 1 has no spread, and says nothing of the next."""
    data = file([row(str(i % 4), str(i % 4)) for i in range(40)])
    found = run(spec(data=data, targets="echo/a,echo/b", metrics=metric_), context).result
    for line in found["summary"]:
        assert line["mean"] == 1.0
        if low is None:
            assert (line["ci_low"], line["ci_high"]) == (None, None)
        else:
            assert low < line["ci_low"] < 1.0 == line["ci_high"]
    assert [one["verdict"] for one in found["verdicts"]] == ["undecided"]
    assert [one["reason"] for one in found["verdicts"]] == ["no pair differs"]


def test_a_group_with_one_row_is_said_and_not_compared(file, context, spec):
    data = file([row(str(i), str(i), group="de" if i == 0 else "en" if i % 2 else "fr") for i in range(13)])
    run(spec(data=data, targets="echo/a", metrics="exact_match"), context)
    frame = read(context.folder.records)
    view = slices.panel.build(frame)
    assert "One row says nothing of a group: de." in view.notes
    (single,) = [line for line in view.table.rows if line[2] == "de"]
    assert (single[3], single[5], single[8].text) == (None, 1, "one row")
    assert "de" not in view.summary
    assert board.panel.build(frame) is not None


def test_control_a_mean_over_nan_would_be_seen(file, context, spec, metric, monkeypatch):
    """Without the check of what a metric returns, the summary must not stay right by chance."""
    monkeypatch.setattr(Score, "__post_init__", lambda self: None)
    metric("theirs", score=lambda output, sample: Score(value=float("inf")))
    run(spec(data=file([row("a", "a")]), targets="echo/a", metrics="theirs"), context)
    frame = read(context.folder.records)
    assert set(frame["theirs_status"]) == {"ok"}, "sabotaged: it passes as a score"


def test_a_group_is_the_column_that_was_named(file, context, spec):
    asked = file([row(str(i), "b", group="not this", shop=f"shop {i % 2}") for i in range(4)])
    run(spec(data=asked, targets="echo/x", group="shop"), context)
    assert read(context.folder.records)["group"].to_list() == ["shop 0", "shop 1", "shop 0", "shop 1"]


def test_a_group_that_a_row_lacks_is_none_and_not_another_column(file, context, spec):
    asked = file([row("a", "b", group="not this"), row("c", "d", shop="x")])
    run(spec(data=asked, targets="echo/x", group="shop"), context)
    assert set(read(context.folder.records)["group"]) == {None, "x"}
