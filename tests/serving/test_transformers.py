"""The embedded engine for real: `transformers serve` on random models, from the entry's process to its last child."""

import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from served import QUESTION, Running, kill, start

from mlaas_lab.errors import JobError
from mlaas_lab.serving import Launch, Place, Weights, _health
from mlaas_lab.serving._parity import Gate
from mlaas_lab.serving.transformers import ACTIVITY, engine
from mlaas_lab.store.wishes import Change, ask
from mlaas_lab.tasks.serve import Serve


@pytest.fixture(scope="module")
def running(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server = start(tmp_path_factory.mktemp("serve") / "job", toys / "base", toys / "lora", probe_s=600)
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


def test_it_tells_what_it_does(running):
    def told() -> dict[str, float]:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        sums = Counter()
        for name, value in (line.split() for line in lines):
            sums[name.partition("{")[0]] += float(value)
        return sums

    before = told()
    running.ask("base")
    after = told()
    assert before["mlaas:requests_running"] == 0
    assert after["mlaas:steps_total"] >= before["mlaas:steps_total"] + 8
    asked = running.ask("base")["usage"]["prompt_tokens"]
    assert after["mlaas:generation_tokens_total"] == before["mlaas:generation_tokens_total"] + 8
    assert after["mlaas:prompt_tokens_total"] == before["mlaas:prompt_tokens_total"] + asked
    running.stream("base")
    streamed = told()
    assert streamed["mlaas:generation_tokens_total"] == after["mlaas:generation_tokens_total"] + 16
    counted = "mlaas:generation_tokens_total"
    assert streamed[counted] == told()[counted] == told()[counted], "streams that have ended are counted once"
    assert running.post("/metrics", {}, Host="evil.example")[0] == 400


def test_it_counts_each_model_apart(running):
    def told() -> dict[str, float]:
        return dict(_health.load(f"http://127.0.0.1:{running.port}/v1", ACTIVITY, timeout_s=10).by_model)

    running.ask("base")
    before = told()
    read = running.ask("lora")["usage"]["prompt_tokens"]
    assert told() == {**before, "lora": before.get("lora", 0) + read + 8}


def test_an_adapter_joins_and_leaves(running, toys):
    adapter = running.text("lora")
    ask(running.folder, Change(add=str(toys / "lora"), name="second"), alive=lambda: True, within_s=300)
    assert running.text("second") == adapter != running.text("base")
    assert "second: compared over 4 prompts" in running.folder.log.read_text()
    ask(running.folder, Change(remove="second"), alive=lambda: True, within_s=120)
    assert running.post("/v1/chat/completions", {"model": "second", "messages": [], "max_tokens": 1})[0] == 404
    assert running.text("lora") == adapter


def test_it_was_compared_with_what_was_trained_before_anybody_could_ask(running):
    lines = [line for _, line in running.folder.events_from(0)]
    ready = [line for line in lines if line["event"] == "endpoint" and line["ready"]]
    for name in ("base", "lora"):
        found = next(line["parity"] for line in ready if line["name"] == name)
        assert (found["checked"], found["prompts"], found["first_difference"]) == (True, 4, None)
        assert found["tokens"] > 4
        assert found["behind_nats"] < found["tolerance_nats"] == 0.05
    assert found["effect_nats"] > 0.1
    assert all(line["parity"] is None for line in lines if line["event"] == "endpoint" and not line["ready"])
    assert "lora: compared over 4 prompts" in running.folder.log.read_text()


def test_what_is_served_under_a_name_must_be_what_was_trained(running, toys, tmp_path):
    weights = Weights(name="lora", source="lora", base=toys / "base", adapter=toys / "lora")
    launch = Launch(command=(), environment={}, models={})
    place = Place(base_url=f"http://127.0.0.1:{running.port}/v1", folder=tmp_path, launch=launch)
    gate = Gate([weights], Serve(models=("x",), parity_prompts=2), engine.telling, folder=tmp_path, threads=1)
    try:
        gate.local()
        assert gate.compare({"lora": "lora"}, place)["lora"].first_difference is None
        with pytest.raises(JobError, match=r"endpoint 'lora' is not the model that was trained: its answers differ"):
            gate.compare({"lora": "base"}, place)
    finally:
        gate.close()


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
