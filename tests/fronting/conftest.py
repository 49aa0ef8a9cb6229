"""A real front over a real store, in this process, with servers of raw bytes behind it."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest
from made_jobs import made

from mlaas_lab.fronting import _run
from mlaas_lab.schema import Endpoint, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.front import Kept
from mlaas_lab.tasks.front import Front


class Told:
    """As much of a job's context as the entry asks for."""

    def __init__(self, settings):
        self.settings = settings
        self.stopping = False
        self.listens = threading.Event()
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def ready(self):
        self.listens.set()


class Running:
    """A front that listens, and ways to ask it."""

    def __init__(self, settings, store):
        self.settings, self.store = settings, store
        self.kept = Kept(settings)
        self.turn = 0

    @property
    def port(self):
        return self.kept.port

    @property
    def token(self):
        return self.kept.token()

    def serve(self, name, base_url, *, job="", model="", engine="vllm", ready=True, **spec):
        """An endpoint of a job of its own, as its supervisor would have written it."""
        job = job or self.job(name)
        if job not in {one.id for one in self.store.jobs()}:
            self.store.add(made(job, task="serve", spec={"models": [name], **spec}))
            self.store.move(job, JobState.RUNNING, attempt=1)
        self.announce(name, base_url, job=job, model=model, engine=engine, ready=ready)
        return job

    def job(self, name):
        """The id of the job that serves `name` in this test."""
        return f"{name}-{self.turn}"

    def announce(self, name, base_url, *, job, model="", engine="vllm", ready=True, attempt=1):
        place = {"base_url": base_url, "model": model or name, "engine": engine, "source": name}
        self.store.announce(Endpoint(name=name, job_id=job, ready=ready, **place), attempt=attempt)

    def end(self, job, state=JobState.CANCELLED):
        self.store.move(job, state, attempt=1)

    def request(self, body=b'{"model": "a"}', *, method="POST", path="/v1/chat/completions", token=None, **headers):
        """A whole request, as bytes."""
        lines = {"host": f"127.0.0.1:{self.port}", "authorization": f"Bearer {token or self.token}"}
        if method == "POST":
            lines["content-length"] = str(len(body))
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        told = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        return f"{method} {path} HTTP/1.1\r\n{told}\r\n".encode() + (body if method == "POST" else b"")

    def connect(self, timeout=10.0):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def send(self, data, *, pieces=1):
        """Everything that comes back until the front hangs up, or falls silent after an answer."""
        with self.connect() as connection:
            step = max(1, len(data) // pieces)
            for at in range(0, len(data), step):
                connection.sendall(data[at : at + step])
            return everything(connection)

    def ask(self, body=None, *, raw=None, method="POST", path="/v1/chat/completions", **more):
        """Status, headers and JSON of one answer."""
        data = json.dumps({"model": "a"} if body is None else body).encode() if raw is None else raw
        got = self.send(self.request(data, method=method, path=path, connection="close", **more))
        return parsed(got)


def parsed(data):
    """An answer as http.client reads it."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(data)
        left.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(right, method="POST")
        response.begin()
        return response.status, dict(response.getheaders()), json.loads(response.read() or b"null")


def everything(connection):
    """All bytes until the other side hangs up; a reset ends it too."""
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


@contextmanager
def listening(settings, **options):
    """A front with options, until the end of the block."""
    told, store, failed = Told(settings), Store(settings.store_path), []

    def run():
        try:
            _run.serve(Front(**options), told)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 15
    while not told.listens.wait(0.02) and thread.is_alive():
        assert time.monotonic() < deadline, "the front does not listen"
    if failed:
        raise failed[0]
    try:
        yield Running(settings, store)
    finally:
        told.stopping = True
        thread.join(15)
        store.close()
        assert not thread.is_alive()


@pytest.fixture
def fronted(settings):
    """Starts a front of this test alone, with options."""
    return partial(listening, settings)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One front for the tests that need nothing special."""
    folder = tmp_path_factory.mktemp("front")
    with listening(Settings(data_dir=folder, cache_dir=folder)) as running:
        yield running


@pytest.fixture
def front(shared):
    """It, without an endpoint that runs."""
    shared.turn += 1
    yield shared
    for job in shared.store.jobs(states=(JobState.RUNNING,)):
        shared.end(job.id)
    assert shared.ask({"model": "nobody"})[0] == 404, "who is not known is looked up, and the rest with it"
