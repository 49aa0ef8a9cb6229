"""A server as its job runs it, from the entry's process to its last child, and what one asks of it."""

import http.client
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlaas_lab.environment import surroundings
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json, write_json

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
            given = {"Content-Type": "application/json", **self.keyed, **headers}
            connection.request("POST", path, json.dumps(body), given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={**self.keyed, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @property
    def keyed(self) -> dict[str, str]:
        """The header with the server's key, if it asks for one."""
        key = self.folder.key
        return {"Authorization": f"Bearer {key.read_text()}"} if key.exists() else {}

    def ask(self, model: str, content: str = QUESTION, **more) -> dict:
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0}
        status, text = self.post("/v1/chat/completions", {**body, **more})
        assert status == 200, text
        return json.loads(text)

    def text(self, model: str, content: str = QUESTION, **more) -> str:
        return self.ask(model, content, **more)["choices"][0]["message"]["content"]

    def stream(self, model: str) -> tuple[str, list[dict]]:
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8, "temperature": 0}
        status, text = self.post(
            "/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}
        )
        assert status == 200
        chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]), chunks

    def survivors(self, within_s: float) -> list[psutil.Process]:
        return psutil.wait_procs(self.family, timeout=within_s)[1]


def start(folder: Path, *models: Path, within_s: float = 200, **spec) -> Running:
    job = JobFolder(folder)
    supervisor, ready = _begun(job, models, within_s, spec)
    assert ready, job.tail()
    place = [e for _, e in job.events_from(0) if e["event"] == "endpoint"][-1]["base_url"]
    family = psutil.Process(supervisor.pid).children(recursive=True)
    return Running(supervisor=supervisor, folder=job, family=family, port=int(place.split(":")[2].split("/")[0]))


def ended_at_start(folder: Path, *models: Path, within_s: float = 200, **spec) -> str:
    """Why a server that was never ready ended."""
    job = JobFolder(folder)
    supervisor, ready = _begun(job, models, within_s, spec)
    if ready:
        supervisor.kill()
    assert not ready
    return read_json(job.path / "error.json")["message"]


def _begun(job: JobFolder, models: tuple[Path, ...], within_s: float, spec: dict) -> tuple[subprocess.Popen, list]:
    """The supervisor, and that it is ready if it has not ended."""
    folder = job.path
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
    deadline = time.monotonic() + within_s
    while not (ready := [e for _, e in job.events_from(0) if e["event"] == "ready"]) and supervisor.poll() is None:
        assert time.monotonic() < deadline, job.tail()
        time.sleep(0.1)
    return supervisor, ready


def kill(running: Running) -> None:
    """End the entry; its watcher stops the rest, and gives back what it shared."""
    if running.family[0].is_running():
        running.family[0].kill()
    for process in running.survivors(within_s=15):
        process.kill()
    running.supervisor.kill()
    running.supervisor.wait()
