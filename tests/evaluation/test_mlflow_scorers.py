"""Scorers of MLflow's as metrics of ours, and metrics of ours as scorers of MLflow's, with the real MLflow."""

import polars as pl
import pytest

import mlaas_lab as ml
from mlaas_lab import registry
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import answers
from mlaas_lab.schema import Message, Sample, ScoreStatus

SCORERS = """
import sys
import time
from mlflow.entities import Feedback
from mlflow.genai.scorers import scorer

@scorer
def polite(outputs, inputs):
    return Feedback(value="please" in outputs, rationale=f"asked: {inputs['question']}")

@scorer
def same(outputs, expectations):
    return "yes" if outputs == expectations["expected_response"] else "no"

@scorer
def fails(outputs):
    if "5" in outputs:
        return 0.5
    raise ValueError("out of paper")

@scorer
def says_it_failed(outputs):
    return Feedback(error=RuntimeError("no judge today"))

@scorer(timeout=0.05)
def slow(outputs):
    time.sleep(0.5)

@scorer
def leaves(outputs):
    sys.exit(3)

@scorer
def prose(outputs):
    return "a fine answer"

@scorer
def nothing(outputs):
    return None

@scorer
def not_a_number(outputs):
    return float("nan")

@scorer
def two(outputs):
    return [Feedback(name="left", value=1.0), Feedback(name="right", value=0.25)]

@scorer
def spans(trace):
    return len(trace.search_spans())

number = 3
"""


@pytest.fixture
def scorers(tmp_path):
    path = tmp_path / "scorers.py"
    path.write_text(SCORERS)
    return path


def sample(question="Where is it?", reference="here"):
    return Sample(id="1", messages=(Message(role="user", content=question),), reference=reference)


def said(scorers, words, output="here, please"):
    metric = registry.configured("metric", f"mlflow?scorer={scorers}:{words}")
    (score,) = metric.score_many([output], [sample()])
    return score


@pytest.mark.parametrize(
    ("words", "output", "value", "reason"),
    [
        ("polite", "here, please", 1, "asked: Where is it?"),
        ("polite", "here", 0, "asked: Where is it?"),
        ("polite&negate=yes", "here, please", -1, "asked: Where is it?"),
        ("same", "here", 1, None),
        ("same", "there", 0, None),
        ("two&feedback=right", "x", 0.25, None),
    ],
)
def test_what_it_says_is_the_score(scorers, words, output, value, reason):
    score = said(scorers, words, output)
    assert (score.value, score.status, score.reason) == (value, ScoreStatus.OK, reason)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("fails", ScoreStatus.JUDGE_ERROR, "ValueError: out of paper"),
        ("says_it_failed", ScoreStatus.JUDGE_ERROR, "RuntimeError: no judge today"),
        ("slow", ScoreStatus.TIMEOUT, "timed out after 0.05 seconds"),
        ("leaves", ScoreStatus.JUDGE_ERROR, "SystemExit: 3"),
        ("prose", ScoreStatus.PARSE_ERROR, "'a fine answer'"),
        ("nothing", ScoreStatus.NOT_APPLICABLE, "no value"),
        ("not_a_number", ScoreStatus.JUDGE_ERROR, "nan"),
        ("two", ScoreStatus.PARSE_ERROR, "left, right"),
    ],
)
def test_what_is_no_score_says_why(scorers, words, status, reason):
    score = said(scorers, words)
    assert (score.value, score.status) == (None, status)
    assert reason in score.reason


def test_a_scorer_that_ships_with_mlflow():
    metric = registry.configured("metric", "mlflow?scorer=PIIDetection")
    (score,) = metric.score_many(["three short words"], [sample()])
    assert score.value is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mlflow?scorer={}:spans", "reads a trace, and an answer has none"),
        ("mlflow?scorer={}:number", "has no scorer 'number'"),
        ("mlflow?scorer={}:missing", "has no scorer 'missing'"),
        ("mlflow?scorer=nowhere.py:polite", "does not exist"),
        ("mlflow?scorer=no.such.module:polite", "cannot be imported"),
        ("mlflow?scorer=Guidelines", "make one in a file"),
        ("mlflow?feedback=left", "no scorer is named"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anybody_is_asked(scorers, words, expected):
    with pytest.raises(UsageError, match=expected):
        registry.configured("metric", words.format(scorers))


def test_a_file_that_fails_is_one_line(tmp_path):
    (tmp_path / "broken.py").write_text("def (:")
    with pytest.raises(UsageError, match=r"broken\.py cannot be imported: SyntaxError"):
        registry.configured("metric", f"mlflow?scorer={tmp_path}/broken.py:any")


def test_an_evaluation_counts_every_failure_of_a_scorer(rows, spec, context, settings, scorers):
    """MLflow's own evaluation would leave a scorer out that always fails."""
    data = rows([(f"Question {i}", f"Question {i}") for i in range(20)])
    names = [f"mlflow?scorer={scorers}:{name}" for name in ("same", "fails", "says_it_failed")]
    records = answers(prepare(spec(data=data, targets="echo/m", metrics=names), settings), context).records
    same, fails, never = names
    assert records[same].to_list() == [1.0] * 20
    assert records[f"{never}_status"].to_list() == ["judge_error"] * 20
    ok = records.filter(pl.col(f"{fails}_status") == "ok")
    assert sorted(ok["output"]) == ["Question 15", "Question 5"]
    assert records[f"{fails}_status"].value_counts().sort("count").rows() == [("ok", 2), ("judge_error", 18)]


def test_names_of_files_are_made_absolute(spec, rows, scorers, tmp_path):
    data = rows([("a", "a")])
    found = spec(data=data, targets="echo/m", metrics=["mlflow?scorer=scorers.py:same&negate=no"])
    assert found.metrics == (f"mlflow?scorer={scorers}:same&negate=no",)


def test_another_file_is_another_metric(scorers):
    before = registry.configured("metric", f"mlflow?scorer={scorers}:same").content
    scorers.write_text(SCORERS + "# changed\n")
    assert registry.configured("metric", f"mlflow?scorer={scorers}:same").content != before


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One for all: migrations take their time."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def evaluated(database, monkeypatch):
    """Runs `mlflow.genai.evaluate` on a store of its own."""
    monkeypatch.setenv("MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    # By the environment: what `set_tracking_uri` says stays, and wins over it in every later test.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    mlflow.set_experiment("bridge")
    yield lambda data, *scorers: mlflow.genai.evaluate(data=data, scorers=[ml.scorer(name) for name in scorers])
    mlflow.set_experiment("Default")


def test_a_metric_of_ours_in_mlflows_evaluation(evaluated):
    data = [
        {"inputs": {"question": "a?"}, "outputs": "a", "expectations": {"expected_response": "a"}},
        {"inputs": {"question": "b?"}, "outputs": "x b x", "expectations": {"expected_response": "b"}},
        {"inputs": {"messages": [{"role": "user", "content": "c?"}]}, "outputs": "c"},
    ]
    metrics = evaluated(data, "exact_match", "regex?pattern=b").metrics
    assert metrics["exact_match/mean"] == 0.5
    assert metrics["exact_match_scored/mean"] == pytest.approx(2 / 3)
    assert metrics["regex_pattern_b/mean"] == pytest.approx(1 / 3)
    assert metrics["regex_pattern_b_scored/mean"] == 1


def test_a_metric_that_never_applies_does_not_vanish(evaluated):
    data = [{"inputs": {"question": f"{i}?"}, "outputs": "a"} for i in range(5)]
    metrics = evaluated(data, "exact_match").metrics
    assert "exact_match/mean" not in metrics
    assert metrics["exact_match_scored/mean"] == 0


def test_an_unknown_metric_is_one_line():
    with pytest.raises(UsageError, match="Did you mean 'exact_match'"):
        ml.scorer("exact_mach")
