"""vLLM: one base and its adapters on one server, on GPUs, and on a CPU for trying.

It runs as a process of an interpreter of its own, behind our guard, so this file must not import it. Flags that are
not set are left to vLLM.
"""

import getpass
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlaas_lab.environment import given
from mlaas_lab.errors import DataError, JobError, UsageError
from mlaas_lab.resources import GIB
from mlaas_lab.serving import Activity, Engine, Launch, Place, Telling, Weights, Wishes, _guard
from mlaas_lab.serving._adapter import check_plain, rank
from mlaas_lab.serving._engine_args import passed_on
from mlaas_lab.serving._fit import check_fit
from mlaas_lab.serving._health import NotListening, Refused, bearer, exchange
from mlaas_lab.serving._memory import check_room, weight_bytes
from mlaas_lab.serving._views import adapter_view, view
from mlaas_lab.serving._vllm_python import Found, find
from mlaas_lab.store.folder import read_json
from mlaas_lab.tasks.serve import LARGEST_RANK

MODULE = "mlaas_guard"
"""What the copy of our guard is called where vLLM runs."""
GUARD = "guard"
UNNAMED = ".base"
"""What the base is called when only adapters are served; no endpoint has that name."""
RANKS = (8, 16, 32, 64, 128, 256, 320, LARGEST_RANK)
"""Largest ranks that vLLM can be told."""
MORE = 3
"""Places for adapters that may be added later, unless the Spec says how many there are."""
CACHE_GIB = 1.0
"""On a CPU, unless the Spec says it."""
OWN_BYTES = int(1.5 * GIB)
"""What its three processes need before any weight is loaded (0.32.0, measured on a CPU)."""
ADAPTER_S = 300.0
"""How long it may take to read an adapter."""
RESTS = ("/sleep", "/wake_up", "/collective_rpc")
"""Routes that its development mode adds, and that send it to sleep and wake it."""
WAKES_NOT = "does not wake up"
KEPT = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "VLLM_CACHE_ROOT")
"""What it takes over from our environment."""
TELLING = Telling(
    request={
        "return_token_ids": True,
        "logprobs": True,
        # Instead of what the model's own settings may ask for.
        "repetition_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "min_p": 0.0,
    },
    own_tokenizers=False,
    narrows=True,
)
ACTIVITY = Activity(
    path="/metrics",
    running=("vllm:num_requests_running", "vllm:num_requests_waiting"),
    done=("vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
    waiting=("vllm:num_requests_waiting",),
    read=("vllm:prompt_tokens_total",),
    written=("vllm:generation_tokens_total",),
    cache=("vllm:kv_cache_usage_perc",),
    asked="vllm:lora_requests_info",
)


def _launch(models: Sequence[Weights], wishes: Wishes, folder: Path) -> Launch:
    found = find(wishes.python)
    adapters = [model for model in models if model.adapter]
    whole = _base(models)
    further = passed_on(wishes.engine_args)
    _check_memory(models, wishes, found)
    served = view(folder / "base", name=whole.source, base=whole.base, adapter=None)
    if wishes.sleep_level and found.for_cpu:
        raise UsageError("vLLM sleeps on GPUs only.", next="Leave out --sleep-level: an idle server is stopped then.")
    guard = _guarded(folder, wishes.key, RESTS if wishes.sleep_level else ())
    places = _places(wishes, adapters)
    top = _top_rank(wishes, adapters)
    name = whole.name if whole.adapter is None else UNNAMED
    command = [found.python, "-P", "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(served), "--served-model-name", name]
    command += ["--uds", wishes.socket] if wishes.socket else ["--host", "127.0.0.1", "--port", str(wishes.port)]
    command += ["--middleware", f"{MODULE}.Guard", "--allowed-origins", "[]", "--disable-fastapi-docs"]
    command += ["--disable-uvicorn-access-log", "--load-format", "safetensors", *_flags(wishes, found)]
    if places:
        command += ["--enable-lora", "--max-lora-rank", str(top), "--max-loras", str(places)]
    if adapters:
        command += ["--lora-modules", *(_module(model, folder) for model in adapters)]
    return Launch(
        command=(*command, *further),
        environment=_environment(wishes, found, guard),
        models={model.name: model.name for model in models},
        key=wishes.key,
        activity=ACTIVITY,
        places=places,
        max_rank=top if places else None,
        sleep_level=wishes.sleep_level,
        isolated=True,
    )


def _guarded(folder: Path, key: str, more: Sequence[str]) -> Path:
    """A folder with our guard, its keys, and `more` paths for the job alone, in which vLLM finds it."""
    guard = folder / GUARD
    guard.mkdir(parents=True, mode=0o700)
    shutil.copyfile(_guard.__file__, guard / f"{MODULE}.py")
    keys = guard / _guard.KEYS
    keys.touch(mode=0o600)
    keys.write_text(json.dumps([key, secrets.token_urlsafe(32), *more]))
    return guard


def _base(models: Sequence[Weights]) -> Weights:
    """The one that is whole, or stands for it.

    Raises:
        DataError: if there are several bases.
    """
    bases = {model.base.resolve() for model in models}
    whole = [model for model in models if model.adapter is None]
    if len(bases) > 1 or len(whole) > 1:
        named = " and ".join(sorted({model.source for model in (whole if len(whole) > 1 else models)}))
        raise DataError(f"{named} need a server each: vLLM serves one base.", next="Serve them one by one.")
    return whole[0] if whole else models[0]


def _places(wishes: Wishes, adapters: Sequence[Weights]) -> int:
    if wishes.max_adapters is None:
        return len(adapters) + MORE if adapters else 0
    if wishes.max_adapters < len(adapters):
        raise UsageError(f"--max-adapters {wishes.max_adapters} is less than the {len(adapters)} that shall be served.")
    return wishes.max_adapters


def _top_rank(wishes: Wishes, adapters: Sequence[Weights]) -> int:
    """The smallest that vLLM can be told and every adapter fits in.

    Raises:
        DataError: for an adapter with a larger one.
    """
    wanted = wishes.max_rank or 0
    for model in adapters:
        if model.adapter is None:
            continue
        mine = rank(model.adapter)
        if mine > (wishes.max_rank or RANKS[-1]):
            limit = f"--max-rank {wishes.max_rank}" if wishes.max_rank else f"the {LARGEST_RANK} that vLLM can serve"
            more = f"Raise it: --max-rank {mine}." if mine <= LARGEST_RANK else "Train it with a smaller one: --rank N."
            raise DataError(f"adapter {model.source!r} has rank {mine}, above {limit}.", next=more)
        wanted = max(wanted, mine)
    return next((top for top in RANKS if top >= max(wanted, 2 * RANKS[0])), RANKS[-1])


def _check_memory(models: Sequence[Weights], wishes: Wishes, found: Found) -> None:
    wanted = OWN_BYTES
    if found.for_cpu:  # the memory of an accelerator is shared out before the job begins
        wanted += weight_bytes([model.base for model in models], wishes.dtype)
        wanted += int((wishes.cache_gib or CACHE_GIB) * GIB)
    less = "Stop another server, or give it less cache: --cache-gib 0.5."
    check_room(models, wanted, beside_bytes=wishes.beside_bytes, next=less)


def _flags(wishes: Wishes, found: Found) -> list[str]:
    flags = ["--dtype", wishes.dtype, "--tensor-parallel-size", str(wishes.tensor_parallel)]
    flags.append("--enable-prefix-caching" if wishes.prefix_cache else "--no-enable-prefix-caching")
    if wishes.max_length is not None:
        flags += ["--max-model-len", str(wishes.max_length)]
    if wishes.quantization:
        flags += ["--quantization", wishes.quantization]
    if wishes.sleep_level:
        flags.append("--enable-sleep-mode")
    if not wishes.batch:
        flags += ["--max-num-seqs", "1"]
    if found.for_cpu:
        flags.append("--enforce-eager")
    elif wishes.cache_gib is not None:
        flags += ["--kv-cache-memory-bytes", str(int(wishes.cache_gib * GIB))]
    return flags


def _environment(wishes: Wishes, found: Found, guard: Path) -> dict[str, str]:
    kept = {name: value for name in KEPT if (value := given(name))}
    for_cpu = {
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, math.ceil(wishes.cache_gib or CACHE_GIB))),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # bound threads would share their cores with whatever else runs
        "OMP_NUM_THREADS": str(wishes.threads),
    }
    return {
        # Where torch keeps what it compiled by itself; a server's own folder for files goes with it.
        "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"),
        "PATH": os.pathsep.join([str(Path(found.python).parent), given("PATH") or os.defpath]),
        **kept,
        **(for_cpu if found.for_cpu else {}),
        **({"VLLM_SERVER_DEV_MODE": "1"} if wishes.sleep_level else {}),
        "PYTHONPATH": str(guard),
        "PYTHONUNBUFFERED": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_HOST_IP": "127.0.0.1",
    }


def _module(model: Weights, folder: Path) -> str:
    return json.dumps({"name": model.name, "path": str(_linked(model, folder))})


def _linked(model: Weights, folder: Path) -> Path:
    """A folder with the files of an adapter, and nothing else.

    Raises:
        DataError: if it is not plain LoRA, or of another base.
    """
    if model.adapter is None:
        raise DataError(f"{model.source!r} is no adapter.")
    check_fit(model.source, model.base, model.adapter)
    check_plain(model.source, model.adapter)
    return adapter_view(folder / "adapters" / model.name, adapter=model.adapter)


def _add(model: Weights, place: Place) -> str:
    _load(place, model.name, str(_linked(model, place.folder)))
    return model.name


def _load(place: Place, name: str, path: str) -> None:
    what = f"does not take adapter {name!r}"
    _tell(place, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, what)


def _remove(model: str, place: Place) -> None:
    _tell(place, "/v1/unload_lora_adapter", {"lora_name": model}, f"does not let go of adapter {model!r}")


def _sleep(place: Place) -> None:
    _tell(place, f"/sleep?level={place.launch.sleep_level}&mode=wait", {}, "does not go to sleep")


def _wake(place: Place) -> None:
    """At level 2 neither weights nor adapters are left: https://docs.vllm.ai/en/latest/features/sleep_mode/."""
    if place.launch.sleep_level == 1:
        _tell(place, "/wake_up", {}, WAKES_NOT)
        return
    _tell(place, "/wake_up?tags=weights", {}, WAKES_NOT)
    _tell(place, "/collective_rpc", {"method": "reload_weights"}, WAKES_NOT)
    _tell(place, "/wake_up?tags=kv_cache", {}, WAKES_NOT)
    headers = bearer(place.launch.key)
    listed = json.loads(exchange(f"{place.base_url}/models", None, timeout_s=ADAPTER_S, headers=headers))
    for adapter in [one for one in listed["data"] if one.get("parent")]:
        _remove(adapter["id"], place)
        _load(place, adapter["id"], adapter["root"])


def _tell(place: Place, route: str, body: dict[str, str], what: str) -> None:
    key = read_json(place.folder / GUARD / _guard.KEYS)[1]
    try:
        exchange(place.base_url.removesuffix("/v1") + route, body, timeout_s=ADAPTER_S, headers=bearer(key))
    except (NotListening, Refused) as error:
        raise JobError(f"vLLM {what}: {error}.") from None


engine = Engine(launch=_launch, add=_add, remove=_remove, sleep=_sleep, wake=_wake, telling=TELLING)
