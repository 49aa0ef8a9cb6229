"""The embedded engine for real: `transformers serve` on random models, from the entry's process to its last child."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mlaas_lab.environment import surroundings
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, write_json

SUPERVISOR = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'mlaas_lab.context', sys.argv[1]])"
"""Starts the entry and waits, as the real one does; only it is killed without mercy here."""
QUESTION = "Where is my parcel?"


@dataclass(frozen=True, kw_only=True)
class Running:
    supervisor: subprocess.Popen
    folder: JobFolder
    family: list[psutil.Process]
    """Entry, watcher and server."""
    port: int

    def post(self, path: str, body: dict, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ask(self, model: str, content: str = QUESTION, **more) -> dict:
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0}
        status, text = self.post("/v1/chat/completions", {**body, **more})
        assert status == 200, text
        return json.loads(text)

    def text(self, model: str, content: str = QUESTION, **more) -> str:
        return self.ask(model, content, **more)["choices"][0]["message"]["content"]

    def stream(self, model: str) -> tuple[str, list[dict]]:
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8, "temperature": 0}
        status, text = self.post("/v1/chat/completions", {**body, "stream": True})
        assert status == 200
        chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]), chunks

    def survivors(self, within_s: float) -> list[psutil.Process]:
        return psutil.wait_procs(self.family, timeout=within_s)[1]


def start(folder: Path, *models: Path, **spec) -> Running:
    job = JobFolder(folder)
    job.path.mkdir()
    settings = Settings(data_dir=folder / "data", cache_dir=folder / "cache", threads=2)
    said = {"models": [str(model) for model in models], **spec}
    write_json(
        job.job,
        {
            "id": "j1",
            "task": "serve",
            "name": "s",
            "attempt": 1,
            "spec": said,
            "settings": settings.model_dump(mode="json"),
        },
    )
    with job.log.open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(folder)], stdout=log, stderr=log, env=surroundings()
        )
    deadline = time.monotonic() + 200
    while not (ready := [e for _, e in job.events_from(0) if e["event"] == "ready"]) and supervisor.poll() is None:
        assert time.monotonic() < deadline, job.tail()
        time.sleep(0.1)
    assert ready, job.tail()
    place = [e for _, e in job.events_from(0) if e["event"] == "endpoint"][-1]["base_url"]
    family = psutil.Process(supervisor.pid).children(recursive=True)
    return Running(supervisor=supervisor, folder=job, family=family, port=int(place.split(":")[2].split("/")[0]))


def kill(running: Running) -> None:
    for process in running.family:
        if process.is_running():
            process.kill()
    running.supervisor.kill()
    running.supervisor.wait()


@pytest.fixture(scope="module")
def running(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server = start(tmp_path_factory.mktemp("serve") / "job", toys / "base", toys / "lora")
    yield server
    kill(server)


def server_of(running: Running) -> psutil.Process:
    return next(p for p in running.family if "mlaas_lab.serving._transformers_server" in p.cmdline()[3:5])


def test_base_and_adapter_answer_differently(running):
    base, adapter = running.text("base"), running.text("lora")
    assert base != adapter
    assert base == running.text("base")
    assert adapter == running.text("lora")


def test_usage_is_counted(running):
    usage = running.ask("base")["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["prompt_tokens"] > len(QUESTION)


@pytest.mark.parametrize("model", ["base", "lora"])
def test_a_stream_says_the_same_in_pieces(running, model):
    text, chunks = running.stream(model)
    # A stream keeps back the first bytes of a character that the last token left unfinished.
    assert text.rstrip("\ufffd") == running.text(model).rstrip("\ufffd") != ""
    assert len(chunks) > 2
    assert chunks[-1]["usage"]["completion_tokens"] == 8


def test_together_or_alone_the_answer_is_the_same(running):
    """A stop string that never comes makes a request one that is answered alone."""
    questions = [f"{QUESTION} {n}" for n in range(12)]
    with ThreadPoolExecutor(8) as pool:
        for model in ("base", "lora"):
            together = list(pool.map(lambda q, m=model: running.text(m, q), questions))
            alone = [running.text(model, q, stop=["\x00never"]) for q in questions[:4]]
            assert together[:4] == alone
            assert len(set(together)) > 1


def test_every_request_keeps_its_own_rules(running):
    """A batch has one set of rules: a hot request must not cool down in it, nor heat the others up."""
    with ThreadPoolExecutor(8) as pool:
        hot = pool.map(lambda _: running.text("base", temperature=5.0), range(6))
        cold = pool.map(lambda _: running.text("base"), range(6))
        assert len(set(hot)) > 1
        assert set(cold) == {running.text("base")}


def test_a_long_answer_is_not_cut(running):
    assert running.ask("base", max_tokens=400)["usage"]["completion_tokens"] == 400


@pytest.mark.parametrize("model", ["gpt2", "/etc", "../lora", "base@main", "base@other"])
def test_a_model_that_is_not_served(running, model):
    status, text = running.post("/v1/chat/completions", {"model": model, "messages": [], "max_tokens": 1})
    assert status == 404
    assert "there are: base, lora" in text


def test_models_are_listed(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    connection.request("GET", "/v1/models")
    listed = json.loads(connection.getresponse().read())
    connection.close()
    assert [model["id"] for model in listed["data"]] == ["base", "lora"]


def test_only_this_machine_by_its_own_name(running):
    listening = [c for p in running.family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [(c.laddr.ip, c.laddr.port) for c in listening] == [("127.0.0.1", running.port)]
    body = {"model": "base", "messages": [], "max_tokens": 1}
    assert running.post("/v1/chat/completions", body, Host="evil.example")[0] == 400
    assert running.post("/reset", {})[0] == 404
    assert running.post("/load_model", {"model": "gpt2"})[0] == 404


def test_nothing_phones_home(running):
    seen = server_of(running).environ()
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert seen["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert seen["OMP_NUM_THREADS"] == "1"  # two threads, two models


def test_stop_leaves_no_process_and_a_free_port(running):
    """The last test of this server."""
    entry = running.family[0]
    entry.terminate()
    assert running.survivors(within_s=10) == []
    assert running.supervisor.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        running.text("base")
    assert json.loads(running.folder.outcome.read_text())["result"]["endpoints"][1]["name"] == "lora"
    assert "Uvicorn running" in running.folder.log.read_text()
    assert "POST" not in running.folder.log.read_text()


@pytest.mark.parametrize("victim", ["supervisor", "entry"])
def test_kill_leaves_nothing(toys, tmp_path, victim):
    running = start(tmp_path / "job", toys / "base")
    try:
        os.kill(running.supervisor.pid if victim == "supervisor" else running.family[0].pid, signal.SIGKILL)
        running.supervisor.wait()
        assert running.survivors(within_s=10) == []
    finally:
        kill(running)
