"""Whether a server will fit, said before anything is loaded: a forecast from the sizes of files."""

import math
from collections.abc import Sequence
from pathlib import Path

import psutil

from mlaas_lab.errors import JobError
from mlaas_lab.resources import GIB
from mlaas_lab.serving import Weights
from mlaas_lab.weights import shapes

REFERENCE_BYTES = 500_000_000
"""What a process with torch, transformers and peft needs besides the weights (419 MB resident, measured on a CPU)."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Of one parameter."""


def weight_bytes(folders: Sequence[Path], dtype: str) -> int:
    """Memory of the weights in `folders`, each counted once; with dtype `auto` as they lie on the disk."""
    files = [file for folder in dict.fromkeys(folders) for file in sorted(folder.glob("*.safetensors"))]
    if dtype not in BYTES:
        return sum(file.stat().st_size for file in files)
    return sum(math.prod(shape) for shape in shapes(files).values()) * BYTES[dtype]


def reference_bytes(models: Sequence[Weights], dtype: str) -> int:
    """Memory of the process that answers for `models` as they were trained: each base once, and their adapters."""
    if not models:
        return 0
    adapters = [model.adapter for model in models if model.adapter]
    return weight_bytes([*(model.base for model in models), *adapters], dtype) + REFERENCE_BYTES


def check_room(models: Sequence[Weights], wanted_bytes: int, *, beside_bytes: int = 0, next: str) -> None:
    """Return when this machine has `wanted_bytes` of memory to spare, and `beside_bytes` to compare meanwhile.

    Raises:
        JobError: if it does not; `next` says how to need less.
    """
    free, needed = psutil.virtual_memory().available, wanted_bytes + beside_bytes
    if needed <= free:
        return
    names = " and ".join(model.source for model in models)
    said = f"about {needed / GIB:.1f} GiB of memory are needed, and {free / GIB:.1f} are free"
    if beside_bytes:
        said += f"; {beside_bytes / GIB:.1f} of them are for the comparison with what was trained"
        next = f"{next} --no-parity needs no comparison."
    raise JobError(f"to serve {names} {said}.", next=next)
