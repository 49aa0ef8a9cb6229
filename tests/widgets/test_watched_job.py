"""A live card of a job: what a page is told, what it may ask, and what stays in the notebook."""

import json
import os
import time
from dataclasses import replace

import pytest
from hostile import CORPUS
from made_jobs import made

from mlaas_lab import fronts, widgets
from mlaas_lab.job import JobHandle
from mlaas_lab.magics import words_of
from mlaas_lab.processes import identity
from mlaas_lab.schema import Endpoint, EndpointState, JobState, Parity, Progress, Work
from mlaas_lab.spec import read
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.store.front import Kept
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.view.markup import HIDDEN
from mlaas_lab.view.text import to_text
from mlaas_lab.widgets import flat, twin
from mlaas_lab.widgets.charts import POINTS
from mlaas_lab.widgets.job import JobWidget
from mlaas_lab.widgets.watched import Watched

ALIVE = {"handle": {"launcher": identity(os.getpid())}}
"""Whoever launches it, this test, lives."""
SPEC = {"data": "/x/rows.jsonl", "base": "tiny", "rank": 8}


@pytest.fixture
def running(lab, tmp_path):
    """A fine-tune that somebody's supervisor runs, with a curve of 10,000 steps."""
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    job = lab.store.add(made("3f9a01bc", task="finetune", name="support", spec=SPEC, folder=str(folder.path), **ALIVE))
    log_steps(folder, range(10_000))
    lab.store.update(
        job.id,
        attempt=1,
        progress=Progress(n=400, total=1000, phase="training", at=time.time(), rate=10.0, spent_usd=0.5, cap_usd=2.0),
    )
    return JobHandle(lab.jobs, job)


def log_steps(folder, steps):
    with folder.events.open("a") as out:
        for n in steps:
            out.write(
                json.dumps({"event": "metrics", "at": time.time(), "step": n, "values": {"loss": 2 / (1 + n / 500)}})
                + "\n"
            )


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for one in value.values() for text in texts(one))
    elif isinstance(value, (list, tuple)):
        yield from (text for one in value for text in texts(one))


def in_state(lab, job, state, monkeypatch, **more):
    """The row as it would be in another state."""
    monkeypatch.setattr(lab.jobs, "current", lambda _id: replace(job, state=state, **more))


def test_page_is_told_where_it_stands(lab, running, monkeypatch):
    job = running.job
    assert Watched(running).now()["state"] == ["queued", "mild"]
    in_state(lab, job, JobState.RUNNING, monkeypatch, started_at=time.time() - 61)
    told = Watched(running).now()
    assert told["state"] == ["running", "busy"]
    (bar, facts) = told["marks"]
    assert (bar["at"], bar["text"]) == (
        0.4,
        "training: 400/1,000 steps · 10 steps/s · 1\u00a0min left · $0.50 of $2.00",
    )
    assert facts["rows"][0] == ["Took", "1\u00a0min 1\u00a0s"]
    assert not any("cancel" in text for text in texts(facts)), "there is a button for it"
    in_state(lab, job, JobState.FAILED, monkeypatch, error="out of memory")
    running.folder.log.write_text("".join(f"line {n}\n" for n in range(100)))
    told = Watched(running).now()
    assert (told["over"], told["marks"][-1]["text"]) == (True, "out of memory")
    assert told["marks"][0]["rows"][-1] == ["Go on", "resume 3f9a01bc"]
    assert told["log"].splitlines() == [f"line {n}" for n in range(88, 100)]


def test_unknown_is_not_nothing(lab, running, monkeypatch):
    unknown = Progress(n=3, total=None, phase="reading", at=0.0)
    in_state(lab, running.job, JobState.RUNNING, monkeypatch, progress=unknown)
    (bar, _) = Watched(running).now()["marks"]
    assert (bar["at"], bar["text"]) == (None, "reading: 3 steps · time left unknown")


def test_ten_thousand_points_are_thinned_and_drawn_once(running):
    watched = Watched(running)
    (section,) = found = watched.found()
    curves = section["marks"][0]["curves"]
    assert [curve["faint"] for curve in curves] == [True, False], "an average over what it is made of"
    assert all(len(curve["points"]) <= POINTS for curve in curves)
    assert curves[0]["points"][0][0] == 0.0
    assert curves[0]["points"][-1][0] == 1.0
    assert len(json.dumps([watched.first, watched.now(), found])) < 30_000
    assert watched.found() is found
    log_steps(running.folder, [10_000])
    assert watched.found() is found, "a chart is at most a second old, and no younger"
    assert watched.found(last=True) is not found


def test_only_what_changed_is_sent(lab, running, monkeypatch):
    live = widgets.of(running)
    sent = []
    monkeypatch.setattr(live, "send_state", lambda key=None: sent.append(key))
    live.follow()
    sent.clear()
    assert live.follow() == {}
    assert sent == []
    lab.store.update(running.id, attempt=1, progress=Progress(n=500, total=1000, at=time.time()))
    assert set(live.follow()) == {"now"}
    assert [name for name in ("now", "found") if name in str(sent)] == ["now"]


def test_cancel_is_a_row(lab, running):
    answer = Watched(running).answer({"kind": "cancel", "id": 4})
    assert answer == {"kind": "told", "id": 4, "said": "It is cancelled."}, "nobody supervised it yet"
    assert lab.store.job(running.id).cancel_requested


@pytest.mark.parametrize(
    "message", [None, 3, "cancel", [], {}, {"kind": "unknown", "id": 1}, {"kind": ["cancel"]}, {"kind": None}]
)
def test_what_is_no_message_of_ours_has_no_answer(lab, running, message):
    assert Watched(running).answer(message) is None


@pytest.mark.parametrize("more", [{"id": -1}, {"id": True}, {"job": "other"}, {}])
def test_what_is_wrong_is_told_and_cancels_nothing(lab, running, more):
    answer = Watched(running).answer({"kind": "cancel", **more})
    assert answer["kind"] == "error"
    assert not lab.store.job(running.id).cancel_requested


@pytest.mark.parametrize("words", [CORPUS[i::4] for i in range(4)])
def test_hostile_text_reaches_the_page_as_text(lab, running, monkeypatch, words):
    words = [word.encode(errors="replace").decode() for word in words]
    running.folder.log.write_text("\n".join(words))
    job = running.job
    for word in words:
        progress = Progress(n=1, total=2, phase=word, unit=word, at=0.0)
        given = {"name": word, "error": word, "waiting": word, "progress": progress, "run_id": word}
        for state in (JobState.QUEUED, JobState.RUNNING, JobState.FAILED):
            in_state(lab, job, state, monkeypatch, spec={**SPEC, "base": word, "name": word}, **given)
            watched = Watched(running)
            for text in texts(json.loads(json.dumps([watched.first, watched.now()]))):
                assert not HIDDEN.search(text), text


@pytest.mark.parametrize(
    "values",
    [
        SPEC,
        {"data": "/a b/c's.jsonl", "name": "--odd", "lr": 0.001},
        {"data": "/x", "gradient_checkpointing": True, "map": {"question": "user", "answer": "assistant"}},
        {"data": "/{x}/$y", "base": "org/model@main"},
    ],
)
def test_code_makes_the_same_job(values):
    line = twin.line("finetune", values)
    words = words_of(line.removeprefix("%mlaas "), {})
    assert words[0] == "finetune"
    assert read(Finetune, words[1:]) == Finetune(**values)


def test_static_card_is_drawn_for_the_last_time_when_the_job_ends(lab, monkeypatch, running):
    shown, updates = [], []

    class Handle:
        def update(self, data, raw):
            updates.append(data)

    def display(data, raw, display_id=False):
        shown.append(data)
        return Handle()

    live = widgets.of(running)
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(fronts, "_live", lambda _shown: live)
    monkeypatch.setattr("threading.Thread.start", lambda _self: None)
    job = running.job
    fronts.show(running)
    assert "mlaas-still" in shown[1]["text/html"]
    in_state(lab, job, JobState.SUCCEEDED, monkeypatch, ended_at=time.time())
    fronts._keep_live(running, Handle(), live)
    (last,) = updates
    assert "succeeded" in last["text/html"]
    assert "<script" not in last["text/html"]
    assert live.now["over"]


def test_script_runs_nothing_from_elsewhere_and_makes_no_markup():
    script = flat.script("asking", "job")
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import(", "import ")
    assert [word for word in words if word in script] == []
    assert script.count("fetch(") == 1, "it asks the server that the page is from, and nobody else"
    assert "http://" not in script.replace("http://www.w3.org/2000/svg", "")
    assert len(script.encode()) < 100_000


def test_what_files_it_reads_does_not_bring_a_table_library(tmp_path):
    import subprocess
    import sys

    code = "import sys, mlaas_lab.widgets.watched; print([n for n in ('polars', 'numpy', 'torch') if n in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_job_that_failed_keeps_its_static_card(lab, running, monkeypatch):
    in_state(lab, running.job, JobState.FAILED, monkeypatch, error="x")
    assert widgets.of(running) is None
    write_json(running.folder.outcome, {"result": {}})
    in_state(lab, running.job, JobState.SUCCEEDED, monkeypatch)
    assert widgets.of(running) is None


def test_server_that_runs_is_followed_and_what_nobody_measured_is_unknown(lab, running, monkeypatch):
    measured = Endpoint(
        name="support",
        job_id=running.id,
        base_url="http://127.0.0.1:1/v1",
        model="support",
        engine="vllm",
        ready=True,
        source="support",
        state=EndpointState.SICK,
        warm_first_token_s=0.25,
        parity=Parity(checked=True, tokens=64, first_difference=None),
    )
    lab.store.move(running.id, JobState.RUNNING, attempt=1)
    lab.store.announce(measured, attempt=1)
    lab.store.announce(replace(measured, name="tiny", parity=None, state=None, warm_first_token_s=None), attempt=1)
    in_state(lab, running._job, JobState.RUNNING, monkeypatch, ready=True)
    live = widgets.of(running)
    assert (live.steady, live.over, live.told) == (True, False, ("ready", "good"))
    (part,) = live.now["parts"]
    now = dict(part["marks"][0]["rows"])
    assert now["Tokens now"] == now["Requests"] == "unknown, it is sick"
    assert now["Cache in use"] == now["Per million tokens"] == "unknown"
    assert now["Price now"].startswith("unknown; ")
    assert now["The same tokens elsewhere"].startswith("unknown; ")
    rows = {row["cells"][0][0]: row["cells"][1:5] for row in part["table"]["rows"]}
    assert rows["support"] == [
        ["sick", "bad"],
        ["unknown"],
        ["250\u00a0ms"],
        ["the same, 64 tokens", "good"],
    ]
    assert rows["tiny"] == [["ready", "good"], ["unknown"], ["unknown"], ["unknown"]]
    in_state(lab, running._job, JobState.RUNNING, monkeypatch, ready=False)
    (part,) = widgets.of(running).now["parts"]
    assert part["summary"].startswith("It gives no token."), "not ready any more, its endpoints are told of as well"


def test_what_a_server_does_costs_and_would_cost_elsewhere(lab, running, monkeypatch):
    lab.store.move(running.id, JobState.RUNNING, attempt=1)
    place = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "vllm", "source": "m"}
    lab.store.announce(Endpoint(name="m", job_id=running.id, ready=True, **place), attempt=1)
    did = {"running": 2.0, "waiting": 1.0, "cache": 0.5, "tokens_per_s": 12.5, "over_s": 1800.0}
    tokens = {"input_tokens": 800_000.0, "output_tokens": 200_000.0}
    work = Work(at=1.0, usd_per_hour=2.0, price_source="setting usd_per_hour", **did, **tokens)
    lab.store.note_work(running.id, work, attempt=1)
    targets = ["m", "echo/x", "openai/gpt-4o", "openai/gpt-4o", "openai/no-such-model-9"]
    targets.append("openai/q?base_url=http://127.0.0.1:1/v1")
    lab.store.add(made("asked", task="eval", spec={"targets": targets}))
    in_state(lab, running._job, JobState.RUNNING, monkeypatch, ready=True)
    (part,) = Watched(running).now()["parts"]
    now = dict(part["marks"][0]["rows"])
    assert now["Tokens now"] == "12.5 a second"
    assert now["Requests"] == "2 under way, 1 in its queue"
    assert now["Cache in use"] == "50\u00a0%"
    assert now["Price now"] == "$2.00 an hour (setting usd_per_hour)"
    assert now["Per million tokens"].startswith("$1.00, idle time paid too: $1.00 for 1,000,000 in 30")
    # 0.8 million at 2.50 and 0.2 million at 10 dollars a million.
    assert now["The same tokens elsewhere"].startswith("$4.00 at openai/gpt-4o, $4.00 a million (genai-prices")
    assert now["The same tokens elsewhere"].count(" at ") == 1


def test_a_server_that_the_front_stopped_sleeps_and_is_followed_on(lab, running, monkeypatch):
    in_state(lab, running._job, JobState.CANCELLED, monkeypatch)
    running.folder.models.write_text("{}")
    assert (Watched(running).now()["state"], Watched(running).now()["over"]) == (["cancelled", "mild"], True)
    kept = Kept(lab.settings)
    kept.make()
    kept.asleep(running.id, 1)
    live = JobWidget(running)
    assert (live.told, live.over, live.steady) == (("sleeping", "mild"), False, True)
    still = to_text(running.view())
    assert "sleeping" in still
    assert "by itself, with the next request to the front" in still
    assert not {"cancelled", "resume"} & set(still.split()), "the card that stays says what the live one says"
    in_state(lab, replace(running._job, attempt=2), JobState.CANCELLED, monkeypatch)
    assert Watched(running).now()["state"] == ["cancelled", "mild"], "it was woken, and then cancelled by somebody"
