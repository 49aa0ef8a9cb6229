"""Which endpoints the front knows, and what it says of those that do not answer."""

import threading
import time

import pytest
from made_jobs import made
from scripted_server import ScriptedServer

from mlaas_lab.fronting import directory
from mlaas_lab.schema import EndpointState, JobState


def listed(front):
    return {row["id"]: row["state"] for row in front.ask(method="GET", path="/v1/models")[2]["data"]}


def test_endpoints_come_and_go_without_a_restart(fronted, eventually):
    with fronted() as front, ScriptedServer() as one, ScriptedServer() as two:
        assert front.ask()[0] == 404
        job = front.serve("a", one.base_url)
        assert front.ask()[0] == 200, "at once"
        front.serve("b", two.base_url)
        assert front.ask({"model": "b"})[0] == 200
        assert (len(one.requests), len(two.requests)) == (1, 1)
        front.end(job)
        eventually(lambda: listed(front) == {"b": "ready"})
        status, headers, said = front.ask()
        assert (status, said["error"]["state"]) == (503, "stopped")
        assert "Retry-After" not in {name.title() for name in headers}, "it does not come back by itself"
        assert f"mlaas resume {job}" in said["error"]["message"]


def test_an_unknown_model_has_near_names(front):
    with ScriptedServer() as server:
        front.serve("support", server.base_url)
        status, _, said = front.ask({"model": "suport"})
        assert (status, said["error"]["code"]) == (404, "model_not_found")
        assert "Did you mean 'support'?" in said["error"]["message"]
        status, _, said = front.ask({"model": "suport"}, path="/v1/messages")
        assert (status, said["type"], said["error"]["type"]) == (404, "error", "not_found_error")


def test_models_have_what_both_kinds_of_client_read(front):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        front.ask()
        status, _, said = front.ask(method="GET", path="/v1/models/a")
        assert status == 200
        assert {"id", "object", "created", "owned_by", "type", "display_name", "created_at"} <= set(said)
        assert front.ask(method="GET", path="/v1/models/b")[0] == 404


def test_two_endpoints_of_one_name_are_asked_for_by_job(front, eventually):
    with ScriptedServer() as one, ScriptedServer() as two:
        first = front.serve("a", one.base_url, job=front.job("first"))
        second = front.serve("a", two.base_url, job=front.job("second"))
        eventually(lambda: front.ask()[0] == 409)
        said = front.ask()[2]
        assert said["error"]["code"] == "ambiguous_model"
        before = len(one.requests)
        assert f"a@{second} and a@{first}" in said["error"]["message"]
        assert listed(front) == {f"a@{first}": "ready", f"a@{second}": "ready"}
        assert front.ask({"model": f"a@{first}"})[0] == 200
        assert one.requests[before].body == b'{"model": "a"}', "which calls it by its own name"
        front.end(first)
        eventually(lambda: listed(front) == {"a": "ready"})
        before = len(two.requests)
        assert front.ask()[0] == 200
        assert len(two.requests) == before + 1


def test_what_is_starting_is_waited_for(fronted):
    with fronted(queue_s=20) as front, ScriptedServer() as server:
        job = front.serve("a", server.base_url, ready=False)
        found = []
        thread = threading.Thread(target=lambda: found.append(front.ask()))
        thread.start()
        time.sleep(0.5)
        assert (found, server.requests) == ([], [])
        front.announce("a", server.base_url, job=job)
        thread.join(10)
        assert found[0][0] == 200


@pytest.mark.parametrize("queue_s", [0, 0.3])
def test_or_said_to_be(fronted, queue_s):
    with fronted(queue_s=queue_s) as front, ScriptedServer() as server:
        front.serve("a", server.base_url, ready=False)
        begun = time.monotonic()
        status, headers, said = front.ask()
        assert (status, said["error"]["state"]) == (503, "starting")
        assert int({name.lower(): value for name, value in headers.items()}["retry-after"]) > 0
        assert time.monotonic() - begun >= queue_s


def test_so_many_wait_and_no_more(fronted, monkeypatch):
    monkeypatch.setattr(directory, "MOST_WAITING", 2)
    with fronted(queue_s=1) as front, ScriptedServer() as server:
        front.serve("a", server.base_url, ready=False)
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(front.ask()[2]["error"]["code"])) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)
        assert sorted(codes) == ["queue_full", "starting", "starting"]


def test_a_server_that_is_gone_is_unreachable(front):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        assert front.ask()[0] == 200
    status, headers, said = front.ask()
    assert (status, said["error"]["code"]) == (503, "unreachable")
    assert "retry-after" in {name.lower() for name in headers}


def test_a_failed_endpoint_says_so(front):
    front.end(front.serve("a", "http://127.0.0.1:9/v1"), JobState.FAILED)
    assert front.ask()[2]["error"]["state"] == "failed"


def test_what_left_a_server_that_runs_on_is_brought_back_and_not_resumed(front):
    job = front.serve("base", "http://127.0.0.1:9/v1")
    front.serve("a", "http://127.0.0.1:9/v1", job=job)
    front.store.tell(job, ["a"], EndpointState.STOPPED, attempt=1)
    assert f"It goes on with: mlaas serve --add ADAPTER --to {job}" in front.ask()[2]["error"]["message"]
    front.end(job)
    assert f"It goes on with: mlaas resume {job}" in front.ask()[2]["error"]["message"]


def test_an_engine_is_not_asked_for_what_it_does_not_answer(front):
    with ScriptedServer() as server:
        front.serve("a", server.base_url, engine="transformers")
        assert front.ask()[0] == 200
        for path in ("/v1/embeddings", "/v1/completions", "/v1/messages"):
            status, _, said = front.ask(path=path)
            assert status == 404
            assert "--engine vllm" in said["error"]["message"]
        assert len(server.requests) == 1


def test_routes_keep_their_query_and_their_place(front):
    with ScriptedServer() as server:
        front.serve("a", server.base_url.replace("/v1", "/below/v1"))
        front.ask(path="/v1/messages?beta=true")
        assert server.requests[0].start == b"POST /below/v1/messages?beta=true HTTP/1.1"


def test_other_jobs_servers_are_none_of_its_business(fronted):
    with fronted() as front, ScriptedServer() as server:
        front.serve("a", server.base_url)
        front.store.add(made("emulated", task="emulate"))
        front.store.move("emulated", JobState.RUNNING, attempt=1)
        front.announce("emulated-openai", server.base_url, job="emulated")
        assert front.ask({"model": "emulated-openai"})[0] == 404
        assert listed(front) == {"a": "ready"}
