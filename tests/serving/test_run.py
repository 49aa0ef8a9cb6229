"""The entry of `serve`, with a server that needs no model: ports, endpoints, deaths and words that are wrong."""

import socket

import pytest
from stubbed import lines, serve_until, started, stub, use

from mlaas_lab import registry
from mlaas_lab.context import Context, Stopped
from mlaas_lab.errors import DataError, JobError, UsageError
from mlaas_lab.serving import _plan, _run, _service
from mlaas_lab.spec import read
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.serve import Serve, endpoint_name, task


@pytest.fixture
def context(tmp_path, settings):
    folder = tmp_path / "job"
    folder.mkdir()
    return Context(JobFolder(folder), settings, job_id="j1", name="serve")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def port_of(context: Context) -> int:
    return int(lines(context, "endpoint")[-1]["base_url"].split(":")[2].split("/")[0])


def test_endpoints_are_announced_then_ready_then_gone(context, toys, monkeypatch):
    use(monkeypatch, stub("--after", "0.3"))
    outcome = serve_until(context, Serve(models=(str(toys / "base"), str(toys / "lora"))))
    announced = lines(context, "endpoint")
    assert [(e["name"], e["ready"]) for e in announced] == [
        ("base", False), ("lora", False), ("base", True), ("lora", True)
    ]  # fmt: skip
    assert announced[-1]["model"] == "served-lora"
    assert announced[-1]["source"] == str(toys / "lora")
    assert outcome.result["endpoints"] == [
        {"name": n, "base_url": announced[-1]["base_url"], "model": f"served-{n}", "parity": None}
        for n in ("base", "lora")
    ]
    assert [(p["n"], p["phase"]) for p in lines(context, "progress")] == [
        (0, "loading"), (1, "loading"), (2, "loading"), (2, "ready")
    ]  # fmt: skip
    assert [(e["state"], e["names"]) for e in lines(context, "health")] == [
        ("starting", ["base", "lora"]), ("ready", ["base", "lora"])
    ]  # fmt: skip
    assert is_free(port_of(context))
    assert started() == []


def test_a_given_port_is_used(context, toys, monkeypatch):
    use(monkeypatch, stub())
    port = _plan.free_port(0)
    serve_until(context, Serve(models=(str(toys / "base"),), port=port))
    assert port_of(context) == port


def test_a_taken_port_is_named_before_anything_starts(context, toys):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(
            UsageError, match=rf"^port {port} on 127.0.0.1 cannot be used: .*Leave out --port"
        ) as caught:
            _run.serve(Serve(models=(str(toys / "base"),), port=port), context)
    assert "\n" not in str(caught.value)
    assert lines(context, "endpoint") == []


def test_a_port_lost_meanwhile_is_replaced_by_another(context, toys, monkeypatch):
    use(monkeypatch, stub(taken_first=2))
    serve_until(context, Serve(models=(str(toys / "base"),)))
    assert len({e["base_url"] for e in lines(context, "endpoint")}) == 3
    assert lines(context, "endpoint")[-1]["ready"]


def test_a_port_lost_again_and_again(context, toys, monkeypatch):
    use(monkeypatch, stub(taken_first=99))
    with pytest.raises(UsageError, match=r"port \d+ on 127.0.0.1 cannot be used"):
        _run.serve(Serve(models=(str(toys / "base"),)), context)


def test_a_server_that_dies_at_start_is_quoted(context, toys, monkeypatch):
    use(monkeypatch, stub("--no-such-flag"))
    with pytest.raises(JobError, match=r"^the server ended with status 2\.\n(.|\n)*--no-such-flag"):
        _run.serve(Serve(models=(str(toys / "base"),)), context)
    assert lines(context, "ready") == []


def test_a_server_that_dies_again_and_again_is_quoted(context, toys, monkeypatch):
    monkeypatch.setattr(_run, "RESTARTS", 2)
    use(monkeypatch, stub("--die-after", "0.5"))
    died = (
        r"(?s)^the server was started anew 2 times, and died again: the server ended with status 7\..*CUDA error: boom"
    )
    with pytest.raises(JobError, match=died):
        _run.serve(Serve(models=(str(toys / "base"),)), context)
    assert len(lines(context, "ready")) == 1
    states = [e["state"] for e in lines(context, "health")]
    assert states == ["starting", "ready", *["sick", "starting", "ready"] * 2]
    assert len({e["base_url"] for e in lines(context, "endpoint")}) == 1, "clients know the address"
    assert started() == []


def test_a_model_that_cannot_be_loaded(context, toys, monkeypatch):
    use(monkeypatch, stub("--refuse"))
    with pytest.raises(JobError, match=r"'served-base' does not answer: HTTP 500: .*out of memory"):
        _run.serve(Serve(models=(str(toys / "base"),)), context)
    assert started() == []


def test_no_answer_in_time(context, toys, monkeypatch):
    use(monkeypatch, stub("--after", "60"))
    with pytest.raises(JobError, match=r"^no answer within 0.5 s.\n?(loading)?"):
        _run.serve(Serve(models=(str(toys / "base"),), ready_within_s=0.5), context)
    assert started() == []


def test_stopped_while_starting(context, toys, monkeypatch):
    use(monkeypatch, stub("--after", "60"))
    with pytest.raises(Stopped):
        serve_until(context, Serve(models=(str(toys / "base"),)), event="progress")
    assert started() == []


def test_no_supervisor_no_server(context, toys, monkeypatch):
    use(monkeypatch, stub())
    monkeypatch.setattr(_service, "_PARENT", -1)
    with pytest.raises(Stopped):
        _run.serve(Serve(models=(str(toys / "base"),)), context)
    assert started() == []


def test_adapter_beside_another_base(context, toys):
    with pytest.raises(DataError) as caught:
        _run.serve(Serve(models=(str(toys / "deep"), str(toys / "lora"))), context)
    text = str(caught.value)
    assert f"adapter '{toys}/lora' was trained on {toys}/base, not on {toys}/deep. Serve it with its own base" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tinny"], "unknown model 'tinny'. Did you mean 'tiny'"),
        (["tiny", "--engine", "transfromers"], "unknown engine 'transfromers'. Did you mean 'transformers'"),
        (["tiny", "--engine", "zzz"], "unknown engine 'zzz'. Known: transformers, vllm"),
        (["tiny", "tiny"], "two models would be endpoint 'tiny'"),
        (["tiny", "other", "--name", "x"], "--name 'x' fits one model, not 2"),
    ],
)
def test_wrong_words(context, words, message):
    with pytest.raises(UsageError) as caught:
        _run.serve(read(Serve, words), context)
    assert message in str(caught.value)


@pytest.mark.parametrize("words", [[], ["tiny", "--port", "70000"], ["tiny", "--name", "a/b"]])
def test_options_that_do_not_fit(words):
    with pytest.raises(UsageError):
        read(Serve, words)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("tiny", "tiny"),
        ("tiny@3f2a", "tiny@3f2a"),
        ("/data/my models/support v2/", "support-v2"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen2.5-0.5B-Instruct"),
        ("../..", "model"),
    ],
)
def test_endpoint_name(word, name):
    assert endpoint_name(word) == name


def test_serve_is_a_service():
    assert task.service
    assert registry.resolve(task.entry) is _run.serve
    assert registry.names("engine") == ("transformers", "vllm")
