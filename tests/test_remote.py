"""An entry in a parcel, started by hand as a cluster would: its files, its lines, its turn."""

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest
from loopback import Loopback

from mlaas_lab.cluster.lines import Arrivals, lines_file, turn_file
from mlaas_lab.cluster.parcel import carried, pack
from mlaas_lab.context import Dataset
from mlaas_lab.remote import _replaced
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json, write_json

TOKEN = "t0ken"


@pytest.fixture
def job(tmp_path: Path, settings: Settings):
    """Unpacks a job as a cluster does; returns the folder of the parcel."""

    def unpacked(task: str, spec: dict, *, attempt: int = 1, endpoints: tuple = (), **logged: int) -> Path:
        storage, parcel = tmp_path / "storage", tmp_path / f"parcel-{attempt}"
        storage.mkdir(exist_ok=True)
        row = {"id": "j1", "task": task, "name": "n", "spec": spec, "attempt": attempt, "executor": "ray"}
        row["settings"] = settings.model_dump(mode="json")
        files = carried(row)
        remote = {"storage": str(storage), "token": TOKEN, "files": files, "endpoints": list(endpoints)}
        made = pack({**row, "remote": {**remote, "logged": logged}}, files)
        zipfile.ZipFile(io.BytesIO(made.content)).extractall(parcel)
        write_json(turn_file(storage), {"attempt": attempt})
        return parcel

    return unpacked


def start(parcel: Path, before: str = "") -> subprocess.Popen[bytes]:
    """As Ray does it: by a shell that leads a session."""
    command = f"{before} exec {sys.executable} -m mlaas_lab.remote"
    return subprocess.Popen(command, shell=True, cwd=parcel, stdout=subprocess.PIPE, start_new_session=True)


def test_an_entry_runs_from_its_parcel(job, tmp_path):
    parcel = job("toy", {"steps": 3})
    output = start(parcel).communicate(timeout=60)[0]
    home = JobFolder(tmp_path / "mine")
    home.path.mkdir()
    Arrivals(home, attempt=1, token=TOKEN).take(output)
    assert home.events.read_bytes() == lines_file(tmp_path / "storage", 1).read_bytes()
    assert home.log.read_text() == "step 0\nstep 1\nstep 2\n"
    assert read_json(tmp_path / "storage" / "outcome.json")["result"] == {"counted": 3}
    assert not (tmp_path / "storage" / "job.json").exists()


def test_steps_that_came_home_are_not_logged_again(job, tmp_path):
    start(job("toy", {"steps": 4}, attempt=2, loss=1)).communicate(timeout=60)
    lines = [json.loads(line) for line in lines_file(tmp_path / "storage", 2).read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "metrics"] == [2, 3]


def test_an_entry_ends_when_it_is_not_its_turn(job, tmp_path, eventually):
    entry = start(job("toy", {"steps": 10_000, "pause_s": 0.05}))
    eventually(lambda: lines_file(tmp_path / "storage", 1).exists(), 30)
    write_json(turn_file(tmp_path / "storage"), {"attempt": 2})
    assert entry.wait(10) == -signal.SIGKILL


def test_what_it_started_ends_with_it(job, tmp_path, eventually):
    entry = start(job("toy", {"steps": 10_000, "pause_s": 0.05}), before="sleep 600 &")
    eventually(lambda: lines_file(tmp_path / "storage", 1).exists(), 30)
    write_json(turn_file(tmp_path / "storage"), {"attempt": None})
    entry.wait(10)
    eventually(lambda: not alive(entry.pid))


def alive(group: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if _group(p.pid) == group and p.status() != psutil.STATUS_ZOMBIE]


def test_it_stops_when_asked_to(job, tmp_path, eventually):
    entry = start(job("toy", {"steps": 10_000, "pause_s": 0.05}))
    eventually(lambda: lines_file(tmp_path / "storage", 1).exists(), 30)
    os.kill(entry.pid, signal.SIGTERM)
    assert entry.wait(10) == 3


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    return path


def test_data_travels_and_keeps_its_name(job, tmp_path, question):
    parcel = job("eval", {"data": str(question), "targets": ["echo/a"]})
    question.unlink()
    entry = start(parcel)
    entry.communicate(timeout=120)
    assert entry.returncode == 0
    outcome = read_json(tmp_path / "storage" / "outcome.json")
    assert Dataset(**outcome["datasets"][0]).path == str(question)
    assert outcome["result"]["summary"][0]["n"] == 1


def test_endpoints_of_the_users_store_are_found(job, tmp_path, question):
    with Loopback() as server:
        place = {"name": "mine", "job_id": "s1", "base_url": server.base_url, "model": "m", "engine": "transformers"}
        endpoint = {**place, "ready": True, "source": "tiny"}
        parcel = job("eval", {"data": str(question), "targets": ["mine"]}, endpoints=(endpoint,))
        entry = start(parcel)
        entry.communicate(timeout=120)
        assert entry.returncode == 0
        assert [seen.body["model"] for seen in server.requests] == ["m"]


def test_paths_are_replaced_as_whole_names_only():
    paths = {"/a/b": "/x"}
    value = {"data": "/a/b", "inside": ["/a/b/c.jsonl"], "other": "/a/bc", "n": 3}
    assert _replaced(value, paths) == {"data": "/x", "inside": ["/x/c.jsonl"], "other": "/a/bc", "n": 3}


def test_the_same_job_is_the_same_parcel(job, tmp_path):
    row = {"id": "j1", "task": "toy", "spec": {}}
    assert pack(row, {}) == pack(row, {})


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
