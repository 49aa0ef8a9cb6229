"""Where a live view appears, what stays beside it, and when there is none: in a real kernel."""

import json
import sys
import time
from dataclasses import asdict

import pytest
from jupyter_client.manager import start_new_kernel
from made_records import duel, file_of

from mlaas_lab import fronts, records, widgets
from mlaas_lab.commands import _dispatch
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.job import JobHandle
from mlaas_lab.schema import Job, JobState
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.widgets import flat

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def kernel(home):
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code):
    """What a cell shows, and the messages of its widgets."""
    found = []
    reply = client.execute_interactive(code, timeout=60, output_hook=found.append)
    assert reply["content"]["status"] == "ok", reply["content"]
    return (
        [m["content"]["data"] for m in found if m["msg_type"] in ("display_data", "execute_result")],
        [m["content"] for m in found if m["msg_type"].startswith("comm_")],
        "".join(m["content"]["text"] for m in found if m["msg_type"] == "stream"),
    )


def ask(client, comm_id, content):
    """The answer to a message that a page sends."""
    data = {"method": "custom", "content": content}
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": comm_id, "data": data}))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "comm_msg" and message["content"]["data"].get("method") == "custom":
            return message["content"]["data"]["content"]
    raise AssertionError("no answer")


def test_live_view_stands_beside_the_static_one(kernel, tmp_path):
    file_of(tmp_path / "r.parquet", duel())
    loaded = "import sys; print([n for n in ('anywidget', 'ipywidgets') if n in sys.modules])"
    _, _, said = run(kernel, f"%load_ext mlaas_lab\nx = %mlaas version\n{loaded}")
    assert said == "[]\n", "what needs no widget imports none"
    (live, still), comms, _ = run(kernel, "%mlaas compare r.parquet")
    assert still["text/html"].startswith('<div class="mlaas-still">')
    assert "good is better than bad" in still["text/plain"]
    assert WIDGET not in still
    assert set(live) == {WIDGET, "text/plain"}
    opened = next(c for c in comms if c.get("data", {}).get("state", {}).get("content"))
    assert opened["comm_id"] == live[WIDGET]["model_id"]
    state = opened["data"]["state"]
    assert len(state["_esm"].encode()) < 100_000
    assert "good is better than bad" in state["content"]["sections"][0]["summary"]
    answer = ask(kernel, opened["comm_id"], {"kind": "rows", "id": 7, "which": {"a": 0, "b": 1, "only": "a_more"}})
    assert (answer["id"], answer["total"], answer["cards"][0]["label"]) == (7, 1, "Sample s39")
    wrong = ask(kernel, opened["comm_id"], {"kind": "rows", "id": 8, "which": {"a": 5, "b": 1}})
    assert (wrong["kind"], wrong["id"]) == ("error", 8)
    assert [set(data) for data in run(kernel, "%mlaas compare r.parquet --static")[0]] == [{"text/plain", "text/html"}]
    unwanted = run(kernel, "%config MlaasMagics.settings = {'widgets': False}\n%mlaas compare r.parquet")[0]
    assert [set(data) for data in unwanted] == [{"text/plain", "text/html"}]


def test_without_the_widget_library_the_static_view_stands_alone(lab, tmp_path, monkeypatch):
    shown = []
    made = _dispatch.execute(["compare", str(file_of(tmp_path / "r.parquet", duel()))], lab)
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    monkeypatch.setattr(fronts, "in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "mlaas_lab.widgets.comparison", raising=False)
    fronts.show(made)
    assert [set(data) for data in shown] == [{"text/plain", "text/html"}]
    assert "mlaas-still" not in shown[0]["text/html"]


def test_what_the_kernel_forgot_is_still_in_the_output(lab, tmp_path):
    made = _dispatch.execute(["compare", str(file_of(tmp_path / "r.parquet", duel()))], lab)
    data, _ = widgets.of(made)._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", WIDGET}
    assert "good is better than bad" in data["text/html"]


def test_evaluation_that_succeeded_has_a_live_view(lab, tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    file_of(folder / "records.parquet", duel())
    place = JobFolder(folder)
    summary, verdicts = summarize(records.read(place.records))
    result = {"summary": [asdict(line) for line in summary], "verdicts": [asdict(one) for one in verdicts]}
    write_json(place.outcome, {"result": json.loads(json.dumps(result, default=str))})
    write_json(place.job, {"settings": {"tracking_uri": "http://127.0.0.1:5000"}})
    row = {"spec": {"targets": ["a"]}, "spec_hash": "x", "attempt": 1, "executor": "process", "run_id": "0" * 32}
    times = {"created_at": 1.0, "started_at": 1.0, "ended_at": 4.0}
    job = Job(id="3f9a01bc", task="eval", name="mine", state=JobState.SUCCEEDED, folder=str(folder), **row, **times)
    handle = JobHandle(lab.jobs, lab.store.add(job))
    live = widgets.of(handle)
    assert live.content["title"] == "eval mine · 3f9a01bc"
    assert live.content["facts"] == ["succeeded", "80 records", "took 3\u00a0s"]
    assert live.content["links"] == [["MLflow run", f"http://127.0.0.1:5000/#/runs/{'0' * 32}"]]
    assert live.content["code"] == "%mlaas compare 3f9a01bc"
    handle.still = True
    assert widgets.of(handle) is None


def test_esm_runs_nothing_from_elsewhere_and_makes_no_markup():
    script = flat.script("comparison")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "import(",
        "fetch(",
        "import ",
    ):
        assert word not in script, word
    assert len(script.encode()) < 100_000
