"""A form made from a Spec: its fields, the line that does the same, what does not fit, and running it."""

import json

import pytest
from hostile import CORPUS

from mlaas_lab import registry, widgets
from mlaas_lab.commands import _dispatch
from mlaas_lab.magics import words_of
from mlaas_lab.schema import JobState
from mlaas_lab.spec import options
from mlaas_lab.view.markup import HIDDEN
from mlaas_lab.widgets import flat


@pytest.fixture
def form(lab):
    return lambda task="finetune": _dispatch.execute(["form", task], lab).formed()


def typed(form, **values):
    return form.answer({"kind": "typed", "id": 1, "values": values})


@pytest.mark.parametrize("task", [name for name in registry.names("task") if not name.startswith("toy")])
def test_every_task_has_one_with_all_its_options(form, task):
    made = form(task)
    fields = {field["name"]: field for field in made.content["fields"]}
    assert set(fields) == {option.name for option in options(_dispatch.command(task).args)}
    assert {name for name, field in fields.items() if field["own"]} >= {
        o.name for o in options(registry.load("task", task).spec)
    }
    assert all(field["help"] for field in fields.values())
    assert json.dumps(made.content)


def test_line_is_the_one_that_makes_the_same(form, tmp_path):
    data = tmp_path / "a b.jsonl"
    data.write_text("")
    made = form()
    told = typed(made, data=str(data), rank="8", lr="", gradient_checkpointing="yes", map="q=user,a=assistant")
    assert (told["wrong"], told["field"]) == ("", "")
    words = words_of(told["line"].removeprefix("%mlaas "), {})
    assert words == [
        "finetune",
        "--data",
        str(data),
        "--rank",
        "8",
        "--map",
        "q=user,a=assistant",
        "--gradient-checkpointing",
    ]
    assert typed(made, data=str(data), rank="16")["line"].endswith("b.jsonl'"), "as it would be anyway"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "data"),
        ({"data": "x", "rank": "many"}, "rank"),
        ({"data": "x", "rank": "0"}, "rank"),
        ({"data": "x", "dtype": "int3"}, "dtype"),
    ],
)
def test_what_does_not_fit_is_said_by_the_spec(form, values, field):
    told = typed(form(), **values)
    assert told["field"] == field
    assert told["wrong"].startswith(f"--{field} ")
    assert told["line"].startswith("%mlaas finetune"), "the line is there all the same"


@pytest.mark.parametrize(
    "message",
    [
        {"values": {"nothing": "x"}},
        {"values": {"rank": 8}},
        {"values": []},
        {},
        {"values": {}, "more": 1},
        {"values": {"data": "x" * 20_000}},
    ],
)
def test_what_is_wrong_is_told_and_runs_nothing(lab, form, message):
    answer = form("toy").answer({"kind": "submit", "id": 2, **message})
    assert answer["kind"] == "error" or answer["wrong"]
    assert lab.store.count() == 0
    assert form().answer({"kind": "other", "id": 1, "values": {}}) is None


def test_submitting_makes_the_job_and_says_how_to_see_it(lab, form):
    answer = form("toy").answer({"kind": "submit", "id": 3, "values": {"steps": "2", "name": "formed"}})
    handle = lab.jobs.get("formed")
    assert (answer["kind"], answer["id"], answer["code"]) == ("told", 3, f"%mlaas attach {handle.id}")
    assert handle.wait_end(60)
    assert (handle.state, handle.outcome) == (JobState.SUCCEEDED, {"counted": 2})


def test_control_what_does_not_fit_makes_no_job(lab, form):
    answer = form("toy").answer({"kind": "submit", "id": 3, "values": {"steps": "two"}})
    assert (answer["kind"], answer["field"]) == ("checked", "steps")
    assert lab.store.count() == 0


def test_hostile_text_is_text_and_stays_one_word(form):
    made = form("toy")
    for word in CORPUS[::7]:
        shown = word.encode(errors="replace").decode()
        told = typed(made, name=shown)
        assert not HIDDEN.search(told["line"] + told["wrong"])


def test_static_form_is_a_table_and_the_live_one_stands_beside_it(lab):
    shown = _dispatch.execute(["form", "finetune"], lab)
    html = shown._repr_html_()
    assert "--max-length" in html
    assert "<script" not in html
    assert {one["name"] for one in shown.as_json()["options"]} >= {"data", "rank"}
    assert widgets.of(shown).content["opening"]["line"] == "%mlaas finetune"
    script = flat.script("form")
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import(", "import ", "fetch(")
    assert [word for word in words if word in script] == []
