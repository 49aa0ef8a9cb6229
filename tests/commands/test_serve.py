"""`serve` as words: what is served, and what joins or leaves a server of another kernel."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from made_jobs import made

from mlaas_lab.commands import _dispatch, serve
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.processes import identity
from mlaas_lab.schema import Endpoint, EndpointState, JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.wishes import answered, wanted


@pytest.fixture
def server(lab):
    """A job that serves endpoint `base`, as far as the store and its folder say."""
    folder = JobFolder(lab.settings.jobs_dir / "s1")
    folder.path.mkdir(parents=True)
    lab.store.add(made("s1", task="serve", folder=str(folder.path)))
    lab.store.move("s1", JobState.RUNNING, attempt=1, handle=identity(os.getpid()))
    place = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "vllm", "source": "base"}
    lab.store.announce(Endpoint(name="base", job_id="s1", ready=True, **place), attempt=1)
    yield folder
    lab.store.move("s1", JobState.CANCELLED, attempt=1)


@pytest.fixture
def toy_models(tmp_path):
    """A folder that looks like a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0" * 8)
    return folder


@pytest.fixture
def untold(monkeypatch):
    """Nobody writes down what joins and leaves."""
    monkeypatch.setattr(serve, "TOLD_WITHIN_S", 0.0)


def serving(folder: JobFolder, act) -> threading.Thread:
    """An entry that hears one wish."""

    def listen():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for answer, change in wanted(folder):
                answered(answer, lambda change=change: act(change))
                return
            time.sleep(0.02)

    thread = threading.Thread(target=listen)
    thread.start()
    return thread


def run(lab, *words):
    return _dispatch.execute(["serve", *words], lab)


@pytest.mark.usefixtures("untold")
def test_wishes_reach_the_server_and_come_back(lab, server, tmp_path):
    seen = []
    for words in (
        ["--add", "legal", "--to", "base"],
        ["--add", "legal", "--to", "s1", "--name", "x"],
        ["--remove", "base"],
    ):
        thread = serving(server, seen.append)
        assert run(lab, *words).id == "s1"
        thread.join()
    assert [(one.add, one.name, one.remove) for one in seen] == [
        ("legal", "", ""),
        ("legal", "x", ""),
        ("", "", "base"),
    ]
    files = sorted(path.name for path in server.changes.iterdir())
    assert len(files) == 6, "each wish stays, with what became of it"
    assert all(json.loads((server.changes / name).read_text()) is not None for name in files)


def test_the_card_that_follows_knows_who_joined_and_who_left(lab, server):
    lab.store.update("s1", attempt=1, ready=1)
    place = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "vllm", "source": "legal"}

    def later(act):
        late = threading.Timer(0.3, act)
        late.start()
        return late

    def joins(_change):
        seen.append(
            later(lambda: lab.store.announce(Endpoint(name="legal", job_id="s1", ready=True, **place), attempt=1))
        )

    def leaves(_change):
        seen.append(later(lambda: lab.store.tell("s1", ["legal"], EndpointState.STOPPED, attempt=1)))

    seen, names = [], lambda job: sorted(one["name"] for one in job.serving)
    for act, words, there in (
        (joins, ["--add", "legal", "--to", "base"], ["base", "legal"]),
        (leaves, ["--remove", "legal"], ["base"]),
    ):
        thread = serving(server, act)
        assert names(run(lab, *words)) == there
        thread.join()
    for late in seen:
        late.join()


def test_what_is_served_is_told_with_the_place_of_its_key(lab, server):
    lab.store.update("s1", attempt=1, ready=1)
    lab.store.tell("s1", ["base"], EndpointState.BUSY, attempt=1)
    (end,) = lab.jobs.get("s1").outcome["endpoints"]
    assert (end["name"], end["ready"], end["state"]) == ("base", True, "busy")
    assert "key_file" not in end, "it asks for none"
    server.key.write_text("k-123")
    (end,) = lab.jobs.get("s1").outcome["endpoints"]
    assert end["key_file"] == str(server.key)
    assert "k-123" not in str(lab.jobs.get("s1").as_json())


def test_a_wish_that_is_refused_says_why(lab, server):
    def no(_change):
        raise UsageError("no place.", next="Make some.")

    thread = serving(server, no)
    with pytest.raises(UsageError, match=r"^no place\. Make some\.$"):
        run(lab, "--add", "legal", "--to", "base")
    thread.join()


def test_a_name_that_another_job_has_is_refused_before_anything_starts(lab, server, toy_models):
    lab.store.add(made("s2", task="serve", claims=("tiny", "legal"), handle={"launcher": identity(os.getpid())}))
    for words in (["tiny"], [str(toy_models), "--name", "legal"]):
        with pytest.raises(UsageError, match=r"job s2 serves an endpoint '(tiny|legal)' already"):
            run(lab, *words)
    assert {job.id for job in lab.store.jobs()} == {"s1", "s2"}
    assert {path.name for path in lab.settings.jobs_dir.iterdir()} == {"s1"}, "nothing of it is left"
    with pytest.raises(UsageError, match="job s2 serves an endpoint 'legal' already"):
        run(lab, "--add", "legal", "--to", "base")
    assert not server.changes.exists()


@pytest.mark.usefixtures("untold")
def test_a_name_is_taken_by_who_joins_and_given_back_by_who_may_not(lab, server):
    thread = serving(server, lambda _change: None)
    run(lab, "--add", "legal", "--to", "base")
    thread.join()
    assert lab.store.job("s1").claims == ("legal",)

    def no(_change):
        raise UsageError("no place.")

    thread = serving(server, no)
    with pytest.raises(UsageError, match="no place"):
        run(lab, "--add", "other", "--to", "base")
    thread.join()
    assert lab.store.job("s1").claims == ("legal",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "MODELS... is missing"),
        (["--add", "a"], "--to which server"),
        (["--to", "base"], "--to which server"),
        (["tiny", "--add", "a", "--to", "base"], "one thing at a time"),
        (["--add", "a", "--remove", "b", "--to", "base"], "one thing at a time"),
        (["--add", "a", "--to", "nobody"], "no job 'nobody'"),
        (["--remove", "nobody"], "no job 'nobody'"),
    ],
)
def test_words_that_do_not_fit(lab, server, words, said):
    with pytest.raises(UsageError, match=said):
        run(lab, *words)
    assert not server.changes.exists()


def test_a_job_that_is_no_server(lab, server):
    lab.store.add(made("t1", task="toy", name="t1"))
    lab.store.move("t1", JobState.CANCELLED, attempt=1)
    with pytest.raises(UsageError, match=r"'t1' is no server that runs"):
        run(lab, "--add", "a", "--to", "t1")


def test_a_server_that_ends_meanwhile(lab, server, monkeypatch):
    from mlaas_lab.job import JobHandle

    ended = iter([JobState.RUNNING, JobState.RUNNING, JobState.FAILED])
    monkeypatch.setattr(JobHandle, "state", property(lambda _self: next(ended, JobState.FAILED)))
    with pytest.raises(JobError, match=r"the server of job s1 has ended"):
        run(lab, "--add", "a", "--to", "base")
    assert Path(server.changes).is_dir()


def test_with_idle_it_starts_the_front_which_stops_it_and_starts_it_again(lab, toy_models, monkeypatch):
    submitted = []
    monkeypatch.setattr(
        type(lab.jobs), "submit", lambda _jobs, task, spec, **_more: submitted.append((task, spec.idle))
    )
    run(lab, str(toy_models))
    assert submitted == [("serve", "")]
    run(lab, str(toy_models), "--idle", "10m")
    assert submitted[1:] == [("front", ""), ("serve", "10m")]
