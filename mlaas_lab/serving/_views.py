"""A view: a folder of links that a server loads as one model, with the adapter beside its base.

`transformers serve` cannot load a LoRA folder as it is. It can load a whole model with adapter files in its folder, and
that costs no copy of the weights. Only files that cannot carry code are linked: no pickles, no Python.
"""

import json
from pathlib import Path

from mlaas_lab.errors import DataError

MODEL = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
    *("vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("preprocessor_config.json", "processor_config.json"),
)
TEMPLATES = ("chat_template.jinja", "chat_template.json")


def view(folder: Path, *, name: str, base: Path, adapter: Path | None) -> Path:
    """Make `folder` a view of `base`, or of `adapter` on it.

    Raises:
        DataError: if there are no safetensors weights, or nothing that says how a chat is written.
    """
    folder.mkdir(parents=True)
    _link(folder, base, MODEL)
    if not list(folder.glob("*.safetensors")) or not (folder / "config.json").exists():
        raise DataError(f"{base} is no model that can be served: {_lack(base)}.", next=_as_safetensors(base))
    tokenizer = adapter if adapter and _found(adapter, TOKENIZER) else base
    _link(folder, tokenizer, TOKENIZER)
    _link(folder, tokenizer if _found(tokenizer, TEMPLATES) else base, TEMPLATES)
    if adapter:
        _link(folder, adapter, ADAPTER)
        if not (folder / ADAPTER[1]).exists():
            raise DataError(f"{adapter} has no {ADAPTER[1]}.", next=_as_safetensors(adapter))
    if not _has_template(folder):
        raise DataError(
            f"base {name!r} has no chat template, so a chat cannot be written for it.",
            next=f"Serve the model's chat variant, or put its chat_template.jinja into {tokenizer}.",
        )
    return folder


def _link(folder: Path, source: Path, patterns: tuple[str, ...]) -> None:
    for path in _found(source, patterns):
        if path.name in ADAPTER and ADAPTER is not patterns:
            continue  # an adapter beside a base would be loaded with it
        (folder / path.name).symlink_to(path.resolve())


def _found(source: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(source.glob(pattern)) if path.is_file()]


def _has_template(folder: Path) -> bool:
    if _found(folder, TEMPLATES):
        return True
    settings = folder / "tokenizer_config.json"
    try:
        return settings.exists() and bool(json.loads(settings.read_text()).get("chat_template"))
    except (ValueError, AttributeError) as error:
        raise DataError(f"{settings.resolve()} cannot be read as the settings of a tokenizer: {error}.") from None


def _lack(base: Path) -> str:
    return "it has no config.json" if not (base / "config.json").exists() else "it has no .safetensors weights"


def _as_safetensors(folder: Path) -> str | None:
    pickled = sorted(path.name for suffix in ("*.bin", "*.pt", "*.pth") for path in folder.glob(suffix))
    if not pickled:
        return None
    return f"{pickled[0]} is pickled, which can run code when it is read; save the model as safetensors."
