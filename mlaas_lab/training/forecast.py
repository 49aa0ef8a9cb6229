"""How much of a machine a training needs, said before it starts and without loading anything.

A forecast for sharing one accelerator, not a measurement: weights from their files' headers, update matrices with
gradients and AdamW's two moments, activations by Korthikanti et al. 2022 (arXiv 2205.05198, section 4.1), output
logits, and what a CUDA context takes.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from mlaas_lab import models
from mlaas_lab.errors import LabError
from mlaas_lab.resources import Machine, Needs
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store.folder import read_json
from mlaas_lab.tasks.finetune import Finetune

CUDA_BYTES = 600 * 2**20
"""Context, kernels and cuBLAS workspace."""
TRAINED_BYTES = 16
"""Per parameter of an update matrix: weight, gradient and two moments in float32."""
QUANTISED_BYTES = 0.56
"""Per parameter in 4 bits with double quantisation (Dettmers et al. 2023, section 3)."""
ACTIVATION_BYTES, KEPT_BYTES = 34, 2
"""Per token, layer and unit of width in 16 bits; all activations, and with activation checkpointing."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides a model's memory."""

    parameters: int
    linear: int
    """Rows plus columns, summed over the layers that get update matrices."""
    width: int
    layers: int
    vocabulary: int


def needs(spec: Finetune, settings: Settings, machine: Machine) -> Needs:
    """The threads of the settings, and one accelerator where there is one."""
    if not machine.gpus:
        return threads(spec, settings, machine)
    shape = _shape(spec.base, settings)
    return Needs(gpus=1, threads=min(settings.threads, 1), gpu_bytes=None if shape is None else gpu_bytes(spec, shape))


def threads(_spec: Spec, settings: Settings, machine: Machine) -> Needs:
    """The threads of the settings: a training keeps them all busy."""
    return Needs(threads=min(settings.threads, machine.threads))


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
    tensors = [shape for file in sorted(Path(path).glob("*.safetensors")) for shape in _tensors(file)]
    wide = [shape for name, shape in tensors if len(shape) == 2 and not name.startswith(("lm_head", "model.embed"))]
    try:
        return Shape(
            parameters=sum(math.prod(shape) for _, shape in tensors),
            linear=sum(sum(shape) for shape in wide),
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            vocabulary=config["vocab_size"],
        )
    except KeyError:
        return None


def _tensors(weights: Path) -> list[tuple[str, list[int]]]:
    """Names and shapes from the header: eight bytes of length, then JSON."""
    with weights.open("rb") as file:
        header: dict[str, JSON] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [(name, tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"]
