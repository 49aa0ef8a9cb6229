"""`front --idle`: a server that nobody wants is stopped, and the next request starts it again."""

import os
import signal
import socket
import threading
import time

import pytest
from made_jobs import made
from scripted_server import LAST, STREAM_HEAD, ScriptedServer, chunk

from mlaas_lab.errors import UsageError
from mlaas_lab.fronting import _run
from mlaas_lab.fronting import first_tokens as first_tokens_module
from mlaas_lab.inference import resolve
from mlaas_lab.job_manager import JobManager
from mlaas_lab.schema import JobState
from mlaas_lab.spec import build, seconds
from mlaas_lab.store.known import KnownEndpoints
from mlaas_lab.tasks.front import Front


@pytest.fixture
def jobs(monkeypatch):
    """Stands in for the supervisors of these servers, which are none: what they were told."""
    told = []

    def cancel(manager, job_id):
        told.append(("cancel", job_id))
        manager.store.move(job_id, JobState.CANCELLED, attempt=manager.store.job(job_id).attempt)

    def resume(manager, job_id):
        told.append(("resume", job_id))
        job = manager.store.job(job_id)
        manager.store.requeue(job_id, attempt=job.attempt, why="resumed", by_hand=True)
        manager.store.move(job_id, JobState.RUNNING, attempt=job.attempt + 1)

    monkeypatch.setattr(JobManager, "cancel", cancel)
    monkeypatch.setattr(JobManager, "resume", resume)
    monkeypatch.setattr(_run, "SWEEP_S", 0.1)
    monkeypatch.setattr(_run, "_wish", lambda change, _jobs, job_id: told.append((change.asleep, job_id)))
    return told


def listed(front):
    return {row["id"]: row["state"] for row in front.ask(method="GET", path="/v1/models")[2]["data"]}


def test_it_sleeps_when_nobody_asks_and_wakes_for_the_next_request(fronted, jobs, eventually):
    with fronted(idle="0.5s", queue_s=20) as front, ScriptedServer() as server:
        job = front.serve("a", server.base_url)
        assert front.ask()[0] == 200
        eventually(lambda: listed(front) == {"a": "sleeping"})
        assert jobs == [("cancel", job)]
        found = []
        asking = [threading.Thread(target=lambda: found.append(front.ask()[0])) for _ in range(3)]
        for thread in asking:
            thread.start()
        eventually(lambda: ("resume", job) in jobs)
        # Its supervisor says where it is now.
        front.announce("a", server.base_url, job=job, attempt=2)
        for thread in asking:
            thread.join(20)
        assert found == [200] * 3
        assert jobs.count(("resume", job)) == 1, "however many ask"


def test_a_server_says_itself_how_long(fronted, jobs, eventually):
    with fronted() as front, ScriptedServer() as server:
        front.serve("a", server.base_url, idle="0.3s")
        front.serve("b", server.base_url)
        eventually(lambda: listed(front) == {"a": "sleeping", "b": "ready"})
        time.sleep(0.5)
        assert listed(front)["b"] == "ready", "neither it nor the front says that it may sleep"


def test_one_whose_process_stays_is_told_to_rest_and_to_wake(fronted, jobs, eventually):
    with fronted(queue_s=10) as front, ScriptedServer() as server:
        job = front.serve("a", server.base_url, idle="0.3s", sleep_level=1)
        eventually(lambda: listed(front) == {"a": "sleeping"})
        assert jobs == [(True, job)]
        assert front.ask()[0] == 200
        assert jobs == [(True, job), (False, job)]


def test_a_new_front_wakes_what_the_last_one_put_to_rest(fronted, jobs, eventually):
    with ScriptedServer() as server:
        with fronted() as front:
            job = front.serve("a", server.base_url, idle="0.3s", sleep_level=2)
            eventually(lambda: listed(front) == {"a": "sleeping"})
        with fronted(queue_s=10) as front:
            assert front.ask()[0] == 200
    assert jobs == [(True, job), (False, job)]


def test_whoever_names_it_wakes_it(fronted, jobs, eventually):
    """An evaluation asks servers directly; it need not know that one sleeps."""
    with fronted(queue_s=10) as front, ScriptedServer() as server:
        job = front.serve("a", server.base_url, idle="0.3s")
        front.store.add(made("f1", task="front"))
        eventually(lambda: listed(front) == {"a": "sleeping"})
        found = []
        asking = threading.Thread(target=lambda: found.append(resolve("a", front.settings)))
        asking.start()
        eventually(lambda: ("resume", job) in jobs)
        front.announce("a", server.base_url, job=job, attempt=2)
        asking.join(20)
        assert found[0].url == f"{server.base_url}/chat/completions"


def test_without_a_queue_it_says_when_to_come_back(fronted, jobs, eventually):
    with fronted(idle="0.3s", queue_s=0) as front, ScriptedServer() as server:
        job = front.serve("a", server.base_url)
        eventually(lambda: listed(front) == {"a": "sleeping"})
        status, headers, _ = front.ask()
        assert status == 503
        assert "retry-after" in {name.lower() for name in headers}
        eventually(lambda: ("resume", job) in jobs)


EMPTY = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
TOKEN = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
THINKS_S = 0.5


def streaming(_request):
    """Says at once that it answers, and its first token later."""
    return [STREAM_HEAD + chunk(EMPTY), THINKS_S, chunk(TOKEN), THINKS_S, chunk(TOKEN), LAST]


def first_tokens(front, name="a"):
    """Cold and warm, as the store has them."""
    known = KnownEndpoints(front.settings.store_path, task="serve")
    try:
        found = next(one for one in known.read() if one.name == name)
    finally:
        known.close()
    return found.cold_first_token_s, found.warm_first_token_s


def test_first_tokens_are_measured_cold_and_warm_apart(fronted, jobs, eventually, monkeypatch):
    monkeypatch.setattr(first_tokens_module, "NOTE_S", 0.0)
    with fronted(idle="1s", queue_s=30) as front, ScriptedServer(script=streaming) as server:
        job = front.serve("a", server.base_url)
        front.send(front.request(connection="close"))
        eventually(lambda: first_tokens(front)[1] is not None)
        cold, warm = first_tokens(front)
        assert cold is None, "it did not sleep"
        assert warm >= THINKS_S, "the first piece has no text, and is no token"
        eventually(lambda: listed(front) == {"a": "sleeping"})
        asking = threading.Thread(target=lambda: front.send(front.request(connection="close")))
        asking.start()
        eventually(lambda: ("resume", job) in jobs)
        time.sleep(1.0)  # the model loads
        front.announce("a", server.base_url, job=job, attempt=2)
        asking.join(20)
        eventually(lambda: first_tokens(front)[0] is not None)
        assert first_tokens(front)[0] >= 1.0 + THINKS_S, "since the request that woke it"
        row = front.ask(method="GET", path="/v1/models/a")[2]
        eventually(lambda: front.ask(method="GET", path="/v1/models/a")[2]["cold_first_token_s"])
        assert row["warm_first_token_s"] == warm, "the cold one is none of these"


def test_an_answer_that_is_no_stream_tells_no_first_token(fronted, monkeypatch):
    monkeypatch.setattr(first_tokens_module, "NOTE_S", 0.0)
    with fronted() as front, ScriptedServer() as server:
        front.serve("a", server.base_url)
        assert front.ask()[0] == 200
        time.sleep(2 * _run.SWEEP_S)
        assert first_tokens(front) == (None, None)


def test_a_long_answer_keeps_it_awake(fronted, jobs):
    slow = ScriptedServer(script=lambda _request: [STREAM_HEAD + chunk(b"a"), 1.5, LAST])
    with fronted(idle="0.3s") as front, slow as server:
        front.serve("a", server.base_url)
        assert front.send(front.request(connection="close")).endswith(LAST)
        assert jobs == []


def test_so_does_who_is_connected_to_the_server_itself(fronted, jobs, eventually):
    """A program of its own: of this one the connections are the front's."""
    with fronted(idle="0.3s") as front, ScriptedServer() as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        other = os.fork()
        if other == 0:
            held = socket.create_connection(("127.0.0.1", port))
            time.sleep(60)
            held.close()
            os._exit(0)
        try:
            eventually(lambda: server.connections)
            front.serve("a", server.base_url)
            time.sleep(1.5)
            assert jobs == []
        finally:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
        eventually(lambda: jobs)


def test_what_was_stopped_by_somebody_is_not_woken(fronted, jobs):
    with fronted(idle="1h") as front:
        front.end(front.serve("a", "http://127.0.0.1:9/v1"))
        assert front.ask()[2]["error"]["state"] == "stopped"
        assert jobs == []


def test_sleepers_are_known_after_a_restart(fronted, jobs, eventually):
    with ScriptedServer() as server:
        with fronted(idle="0.3s") as front:
            job = front.serve("a", server.base_url)
            eventually(lambda: listed(front) == {"a": "sleeping"})
        with fronted(queue_s=0) as front:
            front.turn = 1
            assert listed(front) == {"a": "sleeping"}
            front.ask()
            eventually(lambda: ("resume", job) in jobs)


@pytest.mark.parametrize(("text", "in_s"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("", None)])
def test_how_long_is_written_with_its_unit(text, in_s):
    assert seconds(Front(idle=text).idle) == in_s


def test_and_with_nothing_else():
    with pytest.raises(UsageError):
        build(Front, {"idle": "10"})
