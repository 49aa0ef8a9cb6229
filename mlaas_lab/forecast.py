"""How much of a machine a job needs, said before it starts and without loading anything.

A forecast for sharing one accelerator, not a measurement: weights from their files' headers, update matrices with
gradients and AdamW's two moments, activations by Korthikanti et al. 2022 (arXiv 2205.05198, section 4.1), output
logits, and what a CUDA context takes. A model whose files are not here has no forecast, and gets a device to itself.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from mlaas_lab import models
from mlaas_lab.errors import DataError, LabError
from mlaas_lab.resources import GIB, Machine, Needs
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store.folder import read_json
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.tasks.serve import Serve
from mlaas_lab.weights import shapes

CUDA_BYTES = 600 * 2**20
"""Context, kernels and cuBLAS workspace."""
TRAINED_BYTES = 16
"""Per parameter of an update matrix: weight, gradient and two moments in float32."""
QUANTISED_BYTES = 0.56
"""Per parameter in 4 bits with double quantisation (Dettmers et al. 2023, section 3)."""
ACTIVATION_BYTES, KEPT_BYTES = 34, 2
"""Per token, layer and unit of width in 16 bits; all activations, and with activation checkpointing."""
OUTER = ("lm_head", "model.embed")
"""Layers without update matrices."""
VLLM_BYTES = 4 * GIB
"""Context, activations of the longest batch and captured graphs of a vLLM server, as its start measures them."""
SERVED = 1.25
"""Times the weights, for the keys and values of the requests under way."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides a model's memory."""

    parameters: int
    linear: int
    """Rows plus columns, summed over the layers that get update matrices."""
    width: int
    layers: int
    vocabulary: int


def training(spec: Finetune, settings: Settings, machine: Machine) -> Needs:
    """The threads of the settings, and one accelerator where there is one."""
    if not machine.gpus:
        return threads(spec, settings, machine)
    shape = _shape(spec.base, settings)
    return Needs(gpus=1, threads=min(settings.threads, 1), gpu_bytes=None if shape is None else gpu_bytes(spec, shape))


def threads(_spec: Spec, settings: Settings, machine: Machine) -> Needs:
    """The threads of the settings: a training keeps them all busy."""
    return Needs(threads=min(settings.threads, machine.threads))


def serving(spec: Serve, settings: Settings, machine: Machine) -> Needs:
    """Accelerators where there are some, by the size of the weights; no threads: an idle server keeps none busy."""
    if not machine.gpus or spec.device == "cpu":
        return Needs()
    sizes = [_size_bytes(name, settings) for name in spec.models]
    known = sum(size for size in sizes if size is not None)
    if (spec.engine or settings.engine) == "vllm":
        return _on_all(spec, known, machine)
    return Needs(gpus=1, gpu_bytes=None if None in sizes else int(known * SERVED) + CUDA_BYTES)


def _on_all(spec: Serve, known_bytes: int, machine: Machine) -> Needs:
    """What vLLM needs: all of its devices for its cache, unless it is told how large that shall be."""
    n = spec.tensor_parallel
    least = int(known_bytes / n) + CUDA_BYTES
    if spec.cache_gib is not None and known_bytes:
        return Needs(gpus=n, gpu_bytes=int(known_bytes / n * SERVED + spec.cache_gib * GIB) + VLLM_BYTES)
    # A model that no device can hold is said to be so; of any other the cache takes what is left.
    return Needs(gpus=n, gpu_bytes=least if least > max(machine.gpus) else None)


def gpu_bytes(spec: Finetune, shape: Shape) -> int:
    """Memory of a training on an accelerator, in bytes."""
    word = 4 if spec.dtype == "float32" else 2
    weights = shape.parameters * (QUANTISED_BYTES if spec.load_in_4bit else word)
    trained = shape.linear * spec.rank * TRAINED_BYTES
    tokens = min(spec.pass_size or spec.batch_size, spec.batch_size) * spec.max_length
    kept = KEPT_BYTES if spec.gradient_checkpointing else ACTIVATION_BYTES
    activations = tokens * shape.width * (shape.layers * kept + ACTIVATION_BYTES) * word / 2
    logits = tokens * shape.vocabulary * (4 + word)
    return int(weights + trained + activations + logits + CUDA_BYTES)


def _shape(base: str, settings: Settings) -> Shape | None:
    """Read from the base's files; None for one that is not here, or says nothing."""
    try:
        path = models.locate(base, settings).path
    except LabError:
        return None
    config = read_json(path / "config.json") if isinstance(path, Path) else None
    if config is None:
        return None
    try:
        tensors = shapes(sorted(Path(path).glob("*.safetensors")))
    except DataError:
        return None
    wide = [sum(shape) for name, shape in tensors.items() if len(shape) == 2 and not name.startswith(OUTER)]
    try:
        return Shape(
            parameters=sum(map(math.prod, tensors.values())),
            linear=sum(wide),
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            vocabulary=config["vocab_size"],
        )
    except KeyError:
        return None


def _size_bytes(name: str, settings: Settings) -> int | None:
    """Weights of a model, of an adapter with its base, in bytes."""
    try:
        model = models.locate(name, settings)
    except LabError:
        return None
    paths = [one.path for one in (model, model.base) if one is not None]
    if not all(isinstance(path, Path) and path.is_dir() for path in paths):
        return None
    return sum(file.stat().st_size for path in paths for file in Path(path).glob("*.safetensors"))
