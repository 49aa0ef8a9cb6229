"""What safetensors files hold, read from their headers: no weight is loaded, and no library that could."""

import json
import struct
from collections.abc import Iterable
from pathlib import Path

from mlaas_lab.errors import DataError

Shapes = dict[str, tuple[int, ...]]
LIMIT_BYTES = 100_000_000
"""Of a header, as the format's own reader allows."""


def shapes(files: Iterable[Path]) -> Shapes:
    """Shape of each tensor in `files`, by name.

    Raises:
        DataError: if one is no whole safetensors file.
    """
    return {name: shape for file in files for name, shape in _header(file).items()}


def _header(file: Path) -> Shapes:
    try:
        with file.open("rb") as source:
            (size,) = struct.unpack("<Q", source.read(8))
            if size > LIMIT_BYTES:
                raise ValueError(f"a header of {size} bytes")
            tensors = json.loads(source.read(size))
        tensors.pop("__metadata__", None)
        ends = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        if (there := file.stat().st_size - 8 - size) < ends:
            raise ValueError(f"{ends - there} of its {ends} bytes of weights are missing")
        return {name: tuple(tensor["shape"]) for name, tensor in tensors.items()}
    except (OSError, struct.error, ValueError, AttributeError, LookupError, TypeError) as error:
        raise DataError(f"{file} is no whole safetensors file: {error}.") from None
