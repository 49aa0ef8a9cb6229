"""Adapters that something is wrong with, made from one that is well."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path


def zeroed(folder: Path, adapter: Path) -> Path:
    """A copy of `adapter` whose update matrices are zeros, as before any training."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({name: one * 0 for name, one in weights.items()}, folder / "adapter_model.safetensors")
    return folder


def with_tokenizer(folder: Path, adapter: Path, change: Callable[[dict], None]) -> Path:
    """A copy of `adapter` after `change` was made to what its tokenizer.json says."""
    shutil.copytree(adapter, folder)
    path = folder / "tokenizer.json"
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    return folder


def swapped(said: dict) -> None:
    """Two letters for each other, as another base may have them."""
    vocab = said["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]


def with_template(folder: Path, adapter: Path, template: str) -> Path:
    """A copy of `adapter` that says it was trained with another chat template."""
    shutil.copytree(adapter, folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder
