"""A live table of jobs: what is sent, and that a look costs what changed."""

import json
import os
import time

import pytest
from hostile import CORPUS
from made_jobs import made

from mlaas_lab import fronts, widgets
from mlaas_lab.commands import _dispatch
from mlaas_lab.processes import identity
from mlaas_lab.schema import JobState, Progress
from mlaas_lab.store.overview import Overview
from mlaas_lab.view.markup import HIDDEN
from mlaas_lab.widgets import flat, tabled
from mlaas_lab.widgets.tabled import Looked, Tabled

ALIVE = {"handle": {"launcher": identity(os.getpid())}}
"""Whoever launches it, this test, lives."""


def looked(lab, **more):
    jobs = lab.store.jobs()
    overview = Overview(lab.settings.store_path)
    return Looked(jobs=jobs, store=lab.store, overview=overview, stop=lab.store.request_cancel, **more)


def states(table):
    return {row[0]: row[4] for row in json.loads(table.rows)}


@pytest.fixture
def three(lab):
    for name in "abc":
        lab.store.add(made(name, **ALIVE))
    return lab


def test_rows_say_what_the_static_table_says(three):
    three.store.update("b", attempt=1, progress=Progress(n=1, total=4, at=0.0, spent_usd=0.5))
    table = Tabled(looked(three))
    rows = {row[0]: row for row in json.loads(table.rows)}
    assert [row[1] for row in rows.values()] == [3, 2, 1], "newest first, numbered as they were added"
    assert rows["b"][2:9] == ["toy", "b", "queued", "mild", True, 0.25, "$0.50"]
    assert rows["a"][7:9] == [None, ""], "unknown is not nothing"


def test_look_finds_what_changed_and_nothing_else(three):
    table = Tabled(looked(three))
    assert (table.look(), table.changed) == (False, {})
    three.store.move("b", JobState.RUNNING, attempt=1)
    three.store.add(made("d"))
    assert table.look() is False
    assert {name: row[4] for name, row in table.changed.items()} == {"b": "running", "d": "queued"}
    three.store.move("b", JobState.FAILED, attempt=1, why="out of memory")
    three.store.forget("b", attempt=1)
    table.look()
    assert table.changed["b"] is None
    assert set(states(table)) == {"a", "c", "d"}


def test_new_job_of_another_task_does_not_belong_here(three):
    table = Tabled(looked(three, wanted=lambda job: job.task == "toy"))
    three.store.add(made("other", task="finetune"))
    table.look()
    assert table.changed == {}


def test_when_much_changed_all_is_sent_anew(three, monkeypatch):
    monkeypatch.setattr(tabled, "MOST_CHANGED", 2)
    table = Tabled(looked(three))
    for name in "abc":
        three.store.move(name, JobState.RUNNING, attempt=1)
    assert table.look() is True
    assert table.changed == {}
    assert set(states(table).values()) == {"running"}


def test_only_a_job_of_the_table_is_stopped(three):
    table = Tabled(looked(three))
    three.store.add(made("secret", task="finetune"))
    assert table.answer({"kind": "cancel", "id": 1, "job": "a"})["kind"] == "told"
    assert three.store.job("a").cancel_requested
    for wrong in ({"job": "secret"}, {"job": "../x"}, {"job": 3}, {}, {"job": "a" * 99}):
        assert table.answer({"kind": "cancel", "id": 2, **wrong})["kind"] == "error"
    assert table.answer({"kind": "other", "id": 3}) is None
    assert not three.store.job("secret").cancel_requested


def test_hostile_text_reaches_the_page_as_text(lab):
    words = [word.encode(errors="replace").decode() for word in CORPUS[::3]]
    for i, word in enumerate(words):
        lab.store.add(made(f"j{i}", name=word, task=word, waiting=word, error=word))
    for row in json.loads(Tabled(looked(lab)).rows):
        assert not [text for text in row if isinstance(text, str) and HIDDEN.search(text)]


def test_ten_thousand_jobs_are_little_to_send_and_a_look_reads_few(lab, monkeypatch):
    now = time.time()
    jobs = [made(f"{i:08x}", name=f"tune-{i}", started_at=now, state=JobState.SUCCEEDED) for i in range(10_000)]
    lab.store.add(made("live"))
    overview = Overview(lab.settings.store_path)
    table = Tabled(Looked(jobs=[*jobs, lab.store.job("live")], store=lab.store, overview=overview, stop=print))
    assert len(table.rows) < 1_500_000
    read = []
    found = lab.store.job
    monkeypatch.setattr(lab.store, "job", lambda job_id: read.append(job_id) or found(job_id))
    table.look()
    assert read == []
    lab.store.move("live", JobState.RUNNING, attempt=1)
    table.look()
    assert read == ["live"]


def test_command_has_a_live_table_unless_a_state_was_asked_for(three):
    live = widgets.of(_dispatch.execute(["jobs"], three))
    assert live.content["code"] == "%mlaas jobs"
    assert not live.over
    newer = widgets.of(_dispatch.execute(["jobs", "--task", "toy"], three))
    assert newer.content["code"] == "%mlaas jobs --task toy"
    assert (live.over, newer.over) == (True, False), "one table of a kernel is kept up to date"
    three.store.add(made("z", **ALIVE))
    assert set(newer.follow()["changed"]) == {"z"}
    assert newer.follow() == {}
    assert widgets.of(_dispatch.execute(["jobs", "--state", "queued"], three)) is None


def test_table_that_is_shown_is_followed_until_a_newer_one_is(three, monkeypatch, eventually):
    followed = []
    monkeypatch.setattr("IPython.display.display", lambda *_args, **_how: None)
    monkeypatch.setattr(fronts, "in_notebook", lambda: True)
    monkeypatch.setattr(fronts, "_keep_live", lambda _shown, _handle, live: followed.append(live))
    fronts.show(_dispatch.execute(["jobs"], three))
    eventually(lambda: followed)
    assert followed[0].content["title"] == "Jobs"


def test_script_runs_nothing_from_elsewhere_and_makes_no_markup():
    script = flat.script("asking", "jobs")
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import(", "import ")
    assert [word for word in words if word in script] == []
    assert len(script.encode()) < 100_000
