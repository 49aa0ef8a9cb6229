"""Engine vllm for real, on a CPU: one base and its adapters on one server, asked, changed, hung and killed.

The tests stand in the order of one server's life, since a start takes a minute.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from made_adapters import swapped, with_template, with_tokenizer, zeroed
from served import QUESTION, Running, ended_at_start, kill, start

from mlaas_lab.errors import JobError, LabError
from mlaas_lab.serving import Launch, Place, Weights, _health
from mlaas_lab.serving._parity import Gate
from mlaas_lab.serving.vllm import ACTIVITY, engine
from mlaas_lab.store.wishes import Change, ask
from mlaas_lab.tasks.serve import Serve

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]
LIKE_THIS = {"dtype": "float32", "within_s": 900}
"""As transformers computes on a CPU, so that greedy answers can be the same."""
GONE_S = 10.0


@pytest.fixture(scope="module")
def running(large_toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("serve") / "job"
    models = [large_toys / name for name in ("base", "lora", "second")]
    server = start(folder, *models, engine="vllm", probe_s=6, **LIKE_THIS)
    yield server
    kill(server)


@pytest.fixture(scope="module")
def through_transformers(large_toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same questions, asked of the embedded engine."""
    models = [large_toys / name for name in ("base", "lora", "second")]
    server = start(tmp_path_factory.mktemp("other") / "job", *models, dtype="float32", probe_s=600)
    try:
        return {name: server.text(name) for name in ("base", "lora", "second")}
    finally:
        kill(server)


def change(running: Running, **what: str) -> None:
    ask(running.folder, Change(**what), alive=lambda: running.supervisor.poll() is None, within_s=300)


def states(running: Running) -> list[str]:
    return [line["state"] for _, line in running.folder.events_from(0) if line["event"] == "health"]


def wait_for(true: Callable[[], object], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def servers(running: Running) -> list[psutil.Process]:
    """What vLLM consists of now: the API server first, then all that it started."""
    entry = psutil.Process(running.supervisor.pid).children()[0]
    family = entry.children(recursive=True)
    api = next(p for p in family if "vllm.entrypoints.openai.api_server" in p.cmdline()[:4])
    return [api, *api.children(recursive=True)]


def core(running: Running) -> psutil.Process:
    """The process that computes: the one of them that has used the most of the CPU, besides the API server."""
    return max(servers(running)[1:], key=lambda process: process.memory_info().rss)


def gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_base_and_two_adapters_on_one_server_answer_as_elsewhere(running, through_transformers):
    here = {name: running.text(name) for name in ("base", "lora", "second")}
    assert len(set(here.values())) == 3
    # What the last token left of a character unfinished, one shows and the other does not.
    whole = {name: text.rstrip("\ufffd") for name, text in through_transformers.items()}
    assert {name: text.rstrip("\ufffd") for name, text in here.items()} == whole
    assert whole["base"] != whole["lora"] != ""
    assert len([p for p in servers(running) if "api_server" in " ".join(p.cmdline())]) == 1


def test_streams_count_their_tokens(running):
    text, chunks = running.stream("lora")
    assert text.rstrip("\ufffd") == running.text("lora").rstrip("\ufffd") != ""
    assert chunks[-1]["usage"]["completion_tokens"] == 8
    assert chunks[-1]["usage"]["prompt_tokens"] > len(QUESTION)


def test_it_tells_which_adapter_is_asked(running):
    def asked() -> tuple[str, ...]:
        url, key = f"http://127.0.0.1:{running.port}/v1", running.folder.key.read_text()
        return _health.load(url, ACTIVITY, timeout_s=10, key=key).asked or ()

    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(running.ask, "second", max_tokens=400, ignore_eos=True)
        wait_for(lambda: "second" in asked(), 60)
        long.result()
    wait_for(lambda: "second" not in asked(), 5)


def test_the_key_is_needed_and_stays_where_it_is(running):
    body = {"model": "base", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    for wrong in ("", "Bearer x"):
        assert running.post("/v1/chat/completions", body, Authorization=wrong)[0] == 401
        assert running.get("/v1/models", Authorization=wrong)[0] == 401
        assert running.get("/metrics", Authorization=wrong)[0] == 401
    key = running.folder.key
    assert key.stat().st_mode & 0o777 == 0o600
    for path in running.folder.path.glob("*"):
        if path.is_file() and path != key:
            assert key.read_text() not in path.read_text(errors="replace"), path
    for process in servers(running):
        assert key.read_text() not in " ".join(process.cmdline())


@pytest.mark.parametrize("path", ["/tokenize", "/invocations", "/pause", "/sleep", "/update_weights", "/v1/responses"])
def test_no_other_route_is_there(running, path):
    assert running.post(path, {})[0] == 404
    assert running.post("/v1/chat/completions", {}, Host="evil.example")[0] == 400


def test_nobody_else_loads_an_adapter(running, large_toys):
    body = {"lora_name": "third", "lora_path": str(large_toys / "third")}
    assert running.post("/v1/load_lora_adapter", body)[0] == 401
    assert running.post("/v1/unload_lora_adapter", {"lora_name": "lora"})[0] == 401
    assert [model["id"] for model in json.loads(running.get("/v1/models")[1])["data"]] == ["base", "lora", "second"]


def test_it_listens_on_this_machine_only(running):
    listening = [c for p in servers(running) for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", running.port) in [(c.laddr.ip, c.laddr.port) for c in listening]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_adapters_join_and_leave(running, large_toys):
    others = [running.text(name) for name in ("base", "lora", "second")]
    change(running, add=str(large_toys / "third"), name="new")
    assert running.text("new") not in others
    change(running, remove="new")
    assert running.post("/v1/chat/completions", {"model": "new", "messages": [], "max_tokens": 1})[0] == 404
    change(running, add=str(large_toys / "lora"), name="new")
    assert running.text("new.2") == others[1], "nothing is remembered of the one that had the name"
    change(running, remove="new")
    assert [running.text(name) for name in ("base", "lora", "second")] == others


def test_adapters_that_do_not_fit(running, large_toys, tmp_path):
    cut = shutil.copytree(large_toys / "third", tmp_path / "cut")
    weights = cut / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    pickled = shutil.copytree(large_toys / "third", tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    for adapter, said in (
        (large_toys / "large", "rank 64, and the server takes at most 16"),
        (large_toys / "deep-lora", "was trained on"),
        (cut, "of weights are missing"),
        (pickled, "a pickle that runs code"),
    ):
        with pytest.raises(LabError, match=said):
            change(running, add=str(adapter))
    assert running.text("base")


def test_it_was_compared_with_what_was_trained(running):
    ready = [line for _, line in running.folder.events_from(0) if line["event"] == "endpoint" and line["ready"]]
    found = {line["name"]: line["parity"] for line in ready}
    for name in ("base", "lora", "second"):
        assert found[name]["checked"]
        assert found[name]["prompts"] == 4
        assert 0 <= found[name]["gap_nats"] < found[name]["tolerance_nats"] == 0.05
        assert 0 <= found[name]["behind_nats"] < 0.05
    assert min(found[name]["effect_nats"] for name in ("lora", "second")) > 0.1


def test_what_is_not_as_it_was_trained_does_not_join(running, large_toys, tmp_path):
    other = "{% for m in messages %}{{ m.content }}{% endfor %}<|assistant|>"
    for adapter, said in (
        (zeroed(tmp_path / "zeros", large_toys / "lora"), "has no effect"),
        (with_tokenizer(tmp_path / "letters", large_toys / "lora", swapped), "another tokenizer than the server"),
        (with_template(tmp_path / "template", large_toys / "lora", other), "another chat template than the server"),
    ):
        with pytest.raises(LabError, match=said):
            change(running, add=str(adapter))
        assert running.post("/v1/chat/completions", {"model": adapter.name, "messages": [], "max_tokens": 1})[0] == 404
    assert running.text("base")


def test_the_wrong_adapter_under_a_name_is_found_out(running, large_toys, tmp_path):
    weights = Weights(name="lora", source="lora", base=large_toys / "base", adapter=large_toys / "lora")
    launch = Launch(command=(), environment={}, models={}, key=running.folder.key.read_text())
    place = Place(base_url=f"http://127.0.0.1:{running.port}/v1", folder=tmp_path, launch=launch)
    spec = Serve(models=("x",), dtype="float32")
    gate = Gate([weights], spec, engine.telling, folder=tmp_path, threads=2)
    try:
        gate.local()
        assert gate.compare({"lora": "lora"}, place)["lora"].gap_nats < 0.05
        for wrong in ("second", "base"):
            with pytest.raises(JobError, match="endpoint 'lora' is not the model that was trained"):
                gate.compare({"lora": wrong}, place)
    finally:
        gate.close()


def test_hung_with_a_green_health_route_it_is_sick(running):
    stopped = core(running)
    stopped.suspend()
    try:
        wait_for(lambda: states(running)[-1] == "sick", 60)
        assert running.get("/health")[0] == 200
    finally:
        stopped.resume()
    wait_for(lambda: states(running)[-1] == "ready", 60)


def test_killed_it_is_started_anew_with_its_adapters(running):
    """The last test of this server; all that can be killed is in test_kill_matrix.py."""
    before, n = servers(running), states(running).count("starting")
    core(running).kill()
    wait_for(lambda: gone(before), GONE_S + 6 + 10)  # the engine may notice only when it is asked for a token
    wait_for(lambda: states(running).count("starting") == n + 1 and states(running)[-1] == "ready", 900)
    assert running.text("lora") != running.text("base")


def test_a_server_that_reads_otherwise_than_it_was_trained_is_refused(large_toys, tmp_path):
    """Its files agree: only what the endpoint reads tells."""
    template = tmp_path / "other.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}<|assistant|>")
    words = {"engine_args": f"--chat-template {template}", "parity_prompts": 1}
    ended = ended_at_start(tmp_path / "job", large_toys / "lora", engine="vllm", **words, **LIKE_THIS)
    assert "endpoint 'lora' has another chat template or tokenizer than the model was trained with" in ended
    assert "token 1 of prompt 1" in ended
