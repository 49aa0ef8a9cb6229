"""A view: a folder of links that a server loads as one model, with the adapter beside its base.

`transformers serve` cannot load a LoRA folder as it is. It can load a whole model with adapter files in its folder, and
that costs no copy of the weights. Only files that cannot carry code are linked: no pickles, no Python.
"""

import json
from pathlib import Path
from typing import Any

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
    _refuse_code(name, base)
    folder.mkdir(parents=True)
    _link(folder, base, MODEL)
    if not list(folder.glob("*.safetensors")) or not (folder / "config.json").exists():
        raise DataError(f"{base} is no model that can be served: {_lack(base)}.", next=_as_safetensors(base))
    tokenizer = adapter if adapter and _found(adapter, TOKENIZER) else base
    _link(folder, tokenizer, TOKENIZER)
    _link(folder, tokenizer if _found(tokenizer, TEMPLATES) else base, TEMPLATES)
    if adapter:
        _link_adapter(folder, adapter)
    if not _has_template(folder):
        raise DataError(
            f"base {name!r} has no chat template, so a chat cannot be written for it.",
            next=f"Serve the model's chat variant, or put its chat_template.jinja into {tokenizer}.",
        )
    return folder


def adapter_view(folder: Path, *, adapter: Path) -> Path:
    """Make `folder` a view of `adapter` alone, for a server that has its base already.

    Raises:
        DataError: if there are no safetensors weights.
    """
    folder.mkdir(parents=True)
    _link_adapter(folder, adapter)
    return folder


def _refuse_code(name: str, base: Path) -> None:
    """Return when `base` names no code of its own that could be found from it."""
    for settings in ("config.json", "tokenizer_config.json"):
        named = _settings(base / settings).get("auto_map") or {}
        words = [word for value in named.values() for word in (value if isinstance(value, list) else [value]) if word]
        for word in map(str, words):
            file = f"{word.rpartition('--')[2].partition('.')[0]}.py"
            if "--" in word or (base / file).exists():
                raise DataError(
                    f"base {name!r} brings code of its own ({file}, named in {settings}), which is never run.",
                    next="If the engine knows its architecture, take auto_map out of that file.",
                )


def _link_adapter(folder: Path, adapter: Path) -> None:
    _link(folder, adapter, ADAPTER)
    if not (folder / ADAPTER[1]).exists():
        raise DataError(f"{adapter} has no {ADAPTER[1]}.", next=_as_safetensors(adapter))


def _settings(path: Path) -> dict[str, Any]:
    """What stands in `path`; nothing where there is none."""
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise DataError(f"{path.resolve()} cannot be read as settings: {error}.") from None
    if not isinstance(found, dict):
        raise DataError(f"{path.resolve()} cannot be read as settings: it is no object.")
    return found


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
    return bool(_settings(folder / "tokenizer_config.json").get("chat_template"))


def _lack(base: Path) -> str:
    return "it has no config.json" if not (base / "config.json").exists() else "it has no .safetensors weights"


def _as_safetensors(folder: Path) -> str | None:
    pickled = sorted(path.name for suffix in ("*.bin", "*.pt", "*.pth") for path in folder.glob(suffix))
    if not pickled:
        return None
    return f"{pickled[0]} is pickled, which can run code when it is read; save the model as safetensors."
