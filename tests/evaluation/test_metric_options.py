"""Options of a metric: on the command line, in a job, in columns, in what MLflow is told and in words."""

import json
from dataclasses import asdict
from urllib.parse import quote

import polars as pl
import pytest

from mlaas_lab import registry
from mlaas_lab.errors import MissingExtra, UsageError
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.resuming import digest
from mlaas_lab.evaluation.run import run
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels import _words as words
from mlaas_lab.panels import board, outputs
from mlaas_lab.records import metrics_of, read
from mlaas_lab.references import spec_hash
from mlaas_lab.schema import Decision
from mlaas_lab.store import Store
from mlaas_lab.view import Tone

NAME = r"regex?pattern=^\d+$"


def test_signs_of_a_pattern_stay_what_they_are():
    name, options = registry.parted(r"regex?pattern=^\d{2%2C3}[a-z]+\?x=1%26y|100%$&flag=")
    assert name == "regex"
    assert options == {"pattern": r"^\d{2,3}[a-z]+\?x=1&y|100%$", "flag": ""}


def test_commas_separate_metrics(spec):
    found = spec(data="x.jsonl", targets="tiny", metrics=rf"{NAME},exact_match,accuracy?labels=yes%2C sir/no")
    assert found.metrics == (NAME, "exact_match", "accuracy?labels=yes%2C sir/no")
    assert spec(data="x.jsonl", targets="tiny", metrics=("regex?pattern=~yes",)).metrics == ("regex?pattern=~yes",)


@pytest.mark.parametrize(
    ("text", "says", "next_"),
    [
        ("regex?patern=x", "metric 'regex' has no option 'patern'", "'pattern'"),
        ("chrf?zzz=1", "metric 'chrf' has no option 'zzz'", "It has: word_order"),
        ("chrf?word_order=two", "word_order is 'two', expected a whole number", ""),
        ("chrf?word_order=9", "word_order is 9, expected 0 to 4", ""),
        ("groundedness?threshold=high", "threshold is 'high', expected a number", ""),
        ("groundedness?threshold=nan", "threshold is nan, expected more than 0", ""),
        ("bleu?tokenize=14a", "tokenize is '14a', expected one of 13a", ""),
        ("regex?pattern=(", r"'\(' is no pattern that can be read: unclosed group", ""),
        ("regex?pattern=(?=x)", "is no pattern that can be read: .*look-around", ""),
        ("accuracy?labels=yes", "expected at least two", ""),
        ("json_schema?schema=nowhere.json", "schema 'nowhere.json' cannot be read", ""),
        ('json_schema?schema={"type": 3}', "the schema is none", ""),
        ("exact_match?case=no", "metric 'exact_match' has no options, and 'case' was given", ""),
        ("exact_mach?case=no", "unknown metric 'exact_mach'", "'exact_match'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(text, says, next_, spec, rows, settings):
    with pytest.raises(UsageError, match=says) as caught:
        prepare(spec(data=str(rows([("q", "a")])), targets="echo/x", metrics=(text,)), settings)
    assert next_ in (caught.value.next or "")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("No", False), ("1", True)])
def test_yes_and_no(text, value):
    seen = []

    def made(*, strict: bool = False) -> Metric:
        seen.append(strict)
        return metric

    metric = Metric(unit="share", higher_is_better=True, score=lambda o, s: 1.0, options=made)
    metric.with_options("own", {"strict": text})
    assert seen == [value]
    with pytest.raises(UsageError, match="expected yes or no"):
        metric.with_options("own", {"strict": "perhaps"})


def test_a_library_that_is_missing_is_said_before_anything_is_asked(spec, rows, settings, metric):
    metric("far", score=lambda o, s: 1.0, libraries=("orjson", "no_such_library"))
    with pytest.raises(MissingExtra, match="no_such_library"):
        prepare(spec(data=str(rows([("q", "a")])), targets="echo/x", metrics="far"), settings)
    assert "mlaas_lab[metrics]" in registry.missing_extra("sacrebleu").next


def test_needs_may_go_with_an_option(spec, rows, settings):
    path = str(rows([("q", None)]))
    plan = prepare(spec(data=path, targets="echo/x", metrics=(NAME,)), settings)
    assert list(plan.metrics) == [NAME]


def test_two_metrics_do_not_share_a_column(spec, rows, settings):
    pair = ("regex?pattern=a", "regex?pattern=a_status")
    with pytest.raises(UsageError, match="records have a column of that name"):
        prepare(spec(data=str(rows([("q", "a")])), targets="echo/x", metrics=pair), settings)


def test_the_whole_text_is_the_name_everywhere(spec, rows, context):
    data = rows([("12", "12"), ("twelve", "12"), ("7", "7"), ("x", "7")])
    metrics = (NAME, "length_words", "refusal")
    outcome = run(spec(data=str(data), targets="echo/x,echo/y", metrics=metrics), context)
    frame = read(context.folder.records)
    assert metrics_of(frame.columns) == list(metrics)
    means = {(line["target"], line["metric"]): line["mean"] for line in outcome.result["summary"]}
    assert means["echo/x", NAME] == 0.5
    assert [key for key in outcome.metrics if set(key) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == []  # fmt: skip
    assert outcome.metrics["regex_pattern_d_.echo_x"] == 0.5
    assert board.panel.build(frame) is not None
    assert outputs.panel.build(frame) is not None


def test_a_right_answer_by_a_metric_with_options_has_a_price(spec, rows, context):
    data = rows([("12", "12"), ("twelve", "12")])
    run(spec(data=str(data), targets="echo/x", metrics=(NAME, "length_words")), context)
    (bill,) = bills(read(context.folder.records))
    assert [found.metric for found in bill.successes] == [NAME]


def test_words_know_a_metric_by_its_name():
    assert words.titled(NAME) == f"{NAME}, higher is better"
    assert words.titled("length_words") == "length_words"
    assert words.is_share(NAME)
    assert (words.best(NAME), words.best("refusal"), words.best("length_words")) == (1.0, 0.0, None)
    assert words.best("regexp?pattern=x") is None


def test_full_marks_are_green_also_where_less_is_better():
    row = {"refusal": 0.0, NAME: 0.0, "length_words": 0.0}
    assert [outputs._tone(row, name) for name in row] == [Tone.GOOD, Tone.BAD, Tone.MILD]


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [(NAME, Decision.B_BETTER), ("refusal", Decision.A_BETTER), ("length_words", Decision.UNDECIDED)],
)
def test_the_better_side_of_a_metric_with_options(metric, verdict):
    pairs = [("a", 0.0), ("b", 1.0)]
    frame = pl.DataFrame(
        [
            {
                "target": t,
                "sample_id": str(i),
                "repeat": 0,
                metric: v,
                f"{metric}_status": "ok",
                f"{metric}_reason": None,
            }
            for t, v in pairs
            for i in range(30)
        ]
    )
    found = summarize(frame)[1][0]
    assert found.verdict == verdict
    assert (found.reason is None) == (verdict is not Decision.UNDECIDED)


class TestASchemaInAFile:
    @pytest.fixture
    def schema(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "an order, 1.json"
        path.write_text(json.dumps({"type": "object", "required": ["id"]}))
        return path

    def test_its_path_is_made_absolute_at_once(self, spec, schema):
        (name,) = spec(data="x.jsonl", targets="tiny", metrics=("json_schema?schema=an order%2C 1.json",)).metrics
        assert registry.parted(name) == ("json_schema", {"schema": str(schema)})
        assert spec(data="x.jsonl", targets="tiny", metrics=(name,)).metrics == (name,)

    def test_its_content_enters_the_hash_and_the_digest(self, spec, rows, settings, schema):
        found = spec(
            data=str(rows([("q", "a")])), targets="echo/x", metrics=(f"json_schema?schema={quote(str(schema))}",)
        )
        store = Store(settings.store_path)
        before = spec_hash("eval", found, settings, store), digest(prepare(found, settings))
        schema.write_text(json.dumps({"type": "object"}))
        after = spec_hash("eval", found, settings, store), digest(prepare(found, settings))
        store.close()
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_our_own_dataset_has_a_word(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert spec(data="attacks", targets="tiny").data.name == "attacks.jsonl"
    (tmp_path / "attacks").write_text("")
    assert spec(data="attacks", targets="tiny").data == tmp_path / "attacks", "a file of the user's own comes first"
    assert spec(data="attack", targets="tiny").data == tmp_path / "attack"


def test_it_is_asked_and_scored(spec, context):
    outcome = run(spec(data="attacks", targets="echo/x", metrics="injection,contains"), context)
    lines = {line["metric"]: line for line in outcome.result["summary"]}
    assert lines["injection"]["n"] == 53
    assert lines["injection"]["mean"] == 0, "an echo quotes the attack and does not obey it"
    assert asdict(summarize(read(context.folder.records))[0][0])["n_error"] == 0
