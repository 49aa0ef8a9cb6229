"""Whether an adapter fits a base, read from the headers of their files before anything is loaded.

Loading a misfit only warns about some of its weights, and then serves a model that nobody trained.
"""

import json
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlaas_lab.errors import DataError

Shapes = dict[str, tuple[int, ...]]
LIMIT_BYTES = 100_000_000
"""Of a safetensors header, as the format's own reader allows."""
LORA = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")


def check_fit(name: str, base: Path, adapter: Path) -> None:
    """Return when the layers that `adapter` changes are in `base`, with the same widths.

    Raises:
        DataError: if they are not, or a file is no safetensors file.
    """
    have = _shapes(base.glob("*.safetensors"))
    wanted = list(_lora(adapter))
    if not any(f"{layer}.weight" in have for layer, _ in wanted):
        return  # the file names layers otherwise than the loaded model does; only loading can tell
    blocks = {_block(weight) for weight in have}
    for layer, width in wanted:
        weight = have.get(f"{layer}.weight")
        problem = None
        if weight is not None and width not in weight:
            problem = f"{layer} is {' × '.join(map(str, weight))} there, and {width} wide in the adapter"
        elif weight is None and _block(layer) not in blocks:
            problem = f"it changes {layer}, which is not there"
        if problem:
            message = f"adapter {name!r} was trained on another base than {base.name!r}: {problem}."
            raise DataError(message, next="Serve it with its own base.")


def _lora(adapter: Path) -> Iterator[tuple[str, int]]:
    """Layers that the adapter changes, each with a width it has; A is (rank, in), B is (out, rank)."""
    for name, shape in _shapes([adapter / "adapter_model.safetensors"]).items():
        if (match := LORA.fullmatch(name)) and len(shape) == 2:
            yield match["layer"], shape[1] if match["side"] == "A" else shape[0]


def _block(layer: str) -> str:
    """`model.layers.3` of `model.layers.3.mlp.up_proj`."""
    match = re.match(r".*?\.\d+(?=\.)", layer)
    return match[0] if match else layer


def _shapes(files: Iterable[Path]) -> Shapes:
    return {name: shape for file in files for name, shape in _header(file).items()}


def _header(file: Path) -> Shapes:
    try:
        with file.open("rb") as source:
            (size,) = struct.unpack("<Q", source.read(8))
            if size > LIMIT_BYTES:
                raise ValueError(f"a header of {size} bytes")
            tensors = json.loads(source.read(size))
        return {name: tuple(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__"}
    except (OSError, struct.error, ValueError, AttributeError, LookupError, TypeError) as error:
        raise DataError(f"{file} is no whole safetensors file: {error}.") from None
