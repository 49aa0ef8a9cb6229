"""`front` as people use it: one command starts it, every one shows it, and `cancel` ends it."""

import http.client
import os
import subprocess
import sys

import pytest
from made_jobs import made
from scripted_server import BODY, ScriptedServer

from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import UsageError
from mlaas_lab.processes import identity
from mlaas_lab.schema import Endpoint, JobState

HEAVY = ("torch", "vllm", "ray", "mlflow", "ragas", "panel", "polars", "transformers", "numpy", "pandas", "IPython")


def front(lab, *words):
    return _dispatch.execute(["front", *words], lab)


def ask(port, token):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", b'{"model": "a"}', {"Authorization": f"Bearer {token}"})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_one_command_starts_it_and_every_one_shows_it(lab):
    with ScriptedServer() as server:
        lab.store.add(made("serving", task="serve"))
        lab.store.move("serving", JobState.RUNNING, attempt=1, handle=identity(os.getpid()))
        place = {"base_url": server.base_url, "model": "a", "engine": "vllm", "source": "a"}
        lab.store.announce(Endpoint(name="a", job_id="serving", ready=True, **place), attempt=1)
        first = front(lab, "--queue-s", "5").as_json()
        nothing = {"unchecked": False, "cold_first_token_s": None, "warm_first_token_s": None}
        assert first["endpoints"] == [{"name": "a", "state": "ready", "engine": "vllm", **nothing}]
        assert "token" not in first, "a notebook's output is shown to others"
        port = int(first["base_url"].rsplit(":", 1)[1].removesuffix("/v1"))
        second = front(lab, "--token")
        assert second.as_json() == {**first, "token": second.token}
        assert ask(port, second.token) == BODY
        assert first["base_url"] in str(second)
        with pytest.raises(UsageError, match=rf"runs with queue_s 5.0 at port {port}.* cancel {first['job_id']}"):
            front(lab, "--queue-s", "6")
        lab.jobs.cancel(first["job_id"]).wait_end(15)
        with pytest.raises(ConnectionRefusedError):
            ask(port, second.token)
        lab.store.move("serving", JobState.CANCELLED, attempt=1)


def test_its_process_loads_nothing_heavy():
    script = f"import sys, mlaas_lab.fronting._run\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
