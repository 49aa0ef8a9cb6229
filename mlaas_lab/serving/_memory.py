"""Whether a server will fit, said before anything is loaded: a forecast from the sizes of files."""

import math
from collections.abc import Sequence
from pathlib import Path

import psutil

from mlaas_lab.errors import JobError
from mlaas_lab.resources import GIB
from mlaas_lab.serving import Weights
from mlaas_lab.weights import shapes

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Of one parameter."""


def weight_bytes(folders: Sequence[Path], dtype: str) -> int:
    """Memory of the weights in `folders`, each counted once; with dtype `auto` as they lie on the disk."""
    files = [file for folder in dict.fromkeys(folders) for file in sorted(folder.glob("*.safetensors"))]
    if dtype not in BYTES:
        return sum(file.stat().st_size for file in files)
    return sum(math.prod(shape) for shape in shapes(files).values()) * BYTES[dtype]


def check_room(models: Sequence[Weights], wanted_bytes: int, *, next: str) -> None:
    """Return when this machine has `wanted_bytes` of memory to spare.

    Raises:
        JobError: if it does not; `next` says how to need less.
    """
    free = psutil.virtual_memory().available
    if wanted_bytes > free:
        names = " and ".join(model.source for model in models)
        needed = f"about {wanted_bytes / GIB:.1f} GiB of memory are needed, and {free / GIB:.1f} are free"
        raise JobError(f"to serve {names} {needed}.", next=next)
