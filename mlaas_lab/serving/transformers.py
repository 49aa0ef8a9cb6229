"""The embedded engine: the server of the transformers library, on a CPU too, for trying and comparing.

It runs as `python -m mlaas_lab.serving._transformers_server` in a folder with one view for each model. This file must
not import transformers: an engine is read before its libraries are known to be there.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mlaas_lab.errors import UsageError
from mlaas_lab.registry import missing_extra
from mlaas_lab.serving import Activity, Engine, Launch, Place, Telling, Weights, Wishes
from mlaas_lab.serving._fit import check_fit
from mlaas_lab.serving._memory import check_room, weight_bytes
from mlaas_lab.serving._views import view
from mlaas_lab.store.folder import read_json, write_json

NEEDS = ("torch", "transformers", "peft", "fastapi", "uvicorn", "openai")
LACKS = {
    "max_length": None,
    "tensor_parallel": 1,
    "quantization": "",
    "prefix_cache": True,
    "cache_gib": None,
    "max_rank": None,
    "engine_args": "",
    "sleep_level": 0,
}
"""Wishes that it cannot fulfil, and how they look when nobody has them."""
OWN_BYTES = 500_000_000
"""What the server needs before any model is loaded."""
NAMES = "served.json"
"""In the server's folder: the folders with what it serves; it reads them again when they change."""
ACTIVITY = Activity(
    path="/metrics",
    running=("mlaas:requests_running",),
    done=("mlaas:steps_total",),
    read=("mlaas:prompt_tokens_total",),
    written=("mlaas:generation_tokens_total",),
    model="model",
)


def _launch(models: Sequence[Weights], wishes: Wishes, folder: Path) -> Launch:
    for library in NEEDS:
        if find_spec(library) is None:
            raise missing_extra(library)
    for wish, nothing in LACKS.items():
        if getattr(wishes, wish) != nothing:
            flag = f"--{wish.replace('_', '-')}"
            raise UsageError(f"engine transformers knows no {flag}.", next="Leave it out, or take --engine vllm.")
    _check_memory(models, wishes)
    folders = {model.name: _linked(model, folder) for model in models}
    write_json(folder / NAMES, list(folders.values()))
    command = [sys.executable, "-P", "-m", "mlaas_lab.serving._transformers_server", "--dtype", wishes.dtype]
    command += ["--socket", wishes.socket] if wishes.socket else ["--port", str(wishes.port)]
    command += ["--device", wishes.device, *([] if wishes.batch else ["--alone"])]
    # Each model computes in threads of its own; more than there are cores make all of them slower.
    threads = str(max(1, wishes.threads // len(models)))
    return Launch(
        command=tuple(command),
        environment={
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",  # every file is here
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "TQDM_DISABLE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        models=folders,
        activity=ACTIVITY,
        places=None if wishes.max_adapters is None else wishes.max_adapters,
    )


def _check_memory(models: Sequence[Weights], wishes: Wishes) -> None:
    sizes = [weight_bytes([path], wishes.dtype) for model in models for path in (model.base, model.adapter) if path]
    wanted = OWN_BYTES + (sum(sizes) if wishes.on_host else 0)
    check_room(models, wanted, beside_bytes=wishes.beside_bytes, next="Stop another server, or serve fewer models.")


def _linked(model: Weights, folder: Path) -> str:
    """A folder with what the server may see of a model: its name there."""
    if model.adapter:
        check_fit(model.source, model.base, model.adapter)
    name = model.name.replace("@", "-")  # the server reads a revision after an @
    view(folder / name, name=model.source, base=model.base, adapter=model.adapter)
    return name


def _add(model: Weights, place: Place) -> str:
    name = _linked(model, place.folder)
    write_json(place.folder / NAMES, [*read_json(place.folder / NAMES), name])
    return name


def _remove(model: str, place: Place) -> None:
    write_json(place.folder / NAMES, [name for name in read_json(place.folder / NAMES) if name != model])


engine = Engine(
    launch=_launch,
    add=_add,
    remove=_remove,
    # A penalty of 0 stands in for those that the model's own settings may ask for.
    telling=Telling(request={"return_token_ids": True, "frequency_penalty": 0.0}, own_tokenizers=True, narrows=False),
)
