"""Whether an adapter fits a base, read from the headers of their files before anything is loaded.

Loading a misfit only warns about some of its weights, and then serves a model that nobody trained.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mlaas_lab.errors import DataError
from mlaas_lab.weights import shapes

LORA = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")


def check_fit(name: str, base: Path, adapter: Path) -> None:
    """Return when the layers that `adapter` changes are in `base`, with the same widths.

    Raises:
        DataError: if they are not, or a file is no safetensors file.
    """
    have = shapes(base.glob("*.safetensors"))
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
    for name, shape in shapes([adapter / "adapter_model.safetensors"]).items():
        if (match := LORA.fullmatch(name)) and len(shape) == 2:
            yield match["layer"], shape[1] if match["side"] == "A" else shape[0]


def _block(layer: str) -> str:
    """`model.layers.3` of `model.layers.3.mlp.up_proj`."""
    match = re.match(r".*?\.\d+(?=\.)", layer)
    return match[0] if match else layer
