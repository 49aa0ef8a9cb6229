"""Everything that can be known to be wrong is said in one line, before anybody is asked."""

import json

import pytest
from loopback import Loopback

from mlaas_lab import data
from mlaas_lab.errors import DataError, LabError, UsageError
from mlaas_lab.evaluation.contents import content
from mlaas_lab.evaluation.plan import check_needs, prepare
from mlaas_lab.evaluation.run import run
from mlaas_lab.inference import resolve
from mlaas_lab.registry import load
from mlaas_lab.schema import Message, Sample
from mlaas_lab.settings import Settings

GOOD = [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metrics": "exact_mach"}, "Did you mean 'exact_match'"),
        ({"metrics": ""}, "--metrics"),
        ({"targets": ""}, "--targets"),
        ({"targets": "echo/a,echo/a"}, "named 2 times"),
        ({"targets": "echo/a?as=x,echo/b?as=x"}, "'x' is named 2 times"),
        ({"targets": "ecco/a"}, "Did you mean 'echo'"),
        ({"targets": "echo/"}, "has no model"),
        ({"targets": "nobody"}, "no endpoint 'nobody'"),
        ({"targets": "echo/a?temprature=1"}, "Did you mean 'temperature'"),
        ({"repeats": 0}, "--repeats"),
        ({"limit": 0}, "--limit"),
        ({"margin": -1}, "--margin"),
        ({"data": "absent.jsonl"}, "does not exist"),
        ({"data": "."}, "folder"),
    ],
)
def test_wrong_words_get_one_line(rows, context, spec, options, says):
    with Loopback() as server:
        values = {"data": rows(GOOD), "targets": f"openai/m?base_url={server.base_url}", **options}
        with pytest.raises(LabError) as error:
            run(spec(**values), context)
        assert server.requests == []
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert not context.folder.records.exists()


def test_a_sample_without_what_a_metric_needs(rows, context, spec):
    path = rows([("a", "b"), ("c", None)])
    with Loopback() as server:
        words = {"data": path, "targets": f"openai/m?base_url={server.base_url}"}
        with pytest.raises(DataError, match="1 of 2 samples have none") as error:
            run(spec(**words), context)
        assert server.requests == []
        assert "reference" in str(error.value)
        run(spec(**words, metrics="json_valid"), context)
    assert len(server.requests) == 2


def test_ids_that_stand_twice(tmp_path):
    ask = (Message(role="user", content="?"),)
    twice = [Sample(id="x", messages=ask, reference="r"), Sample(id="x", messages=ask, reference="r")]
    with pytest.raises(DataError, match="2 samples have the id 'x'"):
        check_needs({}, twice, tmp_path)


def test_equal_rows_are_two_samples(rows, context, spec):
    plan = prepare(spec(data=rows([("a", "b"), ("a", "b")]), targets="echo/a"), context.settings)
    assert len({sample.id for sample in plan.samples}) == plan.total == 2


def test_a_metric_may_not_take_a_column(rows, context, spec, metric):
    metric("output", score=lambda output, sample: 1.0)
    with pytest.raises(UsageError, match="cannot be called 'output'"):
        prepare(spec(data=rows(GOOD), targets="echo/a", metrics="output"), context.settings)


def test_a_snapshot_is_asked_for_what_was_held_out(rows, context, spec, tmp_path):
    path = rows([(f"q{i}", f"r{i}") for i in range(20)])
    split = data.split(data.load(path), test=0.25, seed=1, by=None)
    made = data.snapshot(split, tmp_path / "snap", source=path)
    outcome = run(spec(data=tmp_path / "snap", targets="echo/a"), context)
    asked = json.loads(json.dumps(outcome.result))["summary"][0]["n"]
    assert asked == made.test_rows == outcome.datasets[0].rows
    assert outcome.datasets[0].path.endswith("test.jsonl")


def test_the_systems_own_prompt_is_replaced(context, spec, tmp_path):
    path = tmp_path / "s.jsonl"
    turns = [
        {"role": "system", "content": "old"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "r"},
    ]
    path.write_text(json.dumps({"messages": turns}))
    plan = prepare(spec(data=path, targets="echo/a", system="new"), context.settings)
    assert [message.content for message in plan.samples[0].messages] == ["new", "q"]


def test_params_of_a_target_win(rows, context, spec):
    with Loopback() as server:
        words = f"openai/m?base_url={server.base_url}&temperature=0.7"
        run(spec(data=rows(GOOD), targets=words, metrics="json_valid"), context)
    assert {seen.body["temperature"] for seen in server.requests} == {0.7}


def test_a_target_is_called_what_it_says(rows, context, spec, monkeypatch):
    """A name is no part of what is asked: the request is the same, and so is the cached answer."""
    with Loopback() as server:
        target = f"openai/m?base_url={server.base_url}&as=large"
        outcome = run(spec(data=rows(GOOD), targets=f"{target},echo/a?as=echo", metrics="json_valid"), context)
    assert [line["target"] for line in outcome.result["summary"]] == ["large", "echo"]
    assert {seen.body["model"] for seen in server.requests} == {"m"}
    settings, there = Settings(), "openai/m?temperature=0"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert content(resolve(f"{there}&as=large", settings), settings) == content(resolve(there, settings), settings)


def test_metrics_are_loaded_by_name():
    assert load("metric", "exact_match").needs == {"reference"}
