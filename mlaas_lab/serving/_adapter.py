"""What an adapter's own settings say: how large its matrices are, and whether it is plain LoRA."""

from pathlib import Path
from typing import Any

from mlaas_lab.errors import DataError
from mlaas_lab.store.folder import read_json

BEYOND = {
    "use_dora": "it was trained with DoRA",
    "modules_to_save": "it holds whole layers besides its update matrices",
    "use_qalora": "it was trained with QA-LoRA",
    "trainable_token_indices": "it changes single tokens",
}
"""Settings that ask for more than LoRA, and what they mean."""


def rank(adapter: Path) -> int:
    """The largest rank of any of its layers.

    Raises:
        DataError: if its settings cannot be read.
    """
    settings = _settings(adapter)
    ranks = [settings.get("r"), *(settings.get("rank_pattern") or {}).values()]
    if not all(isinstance(one, int) and one > 0 for one in ranks):
        raise DataError(f"{adapter / 'adapter_config.json'} does not say the adapter's rank.")
    return int(max(ranks))


def check_plain(name: str, adapter: Path) -> None:
    """Return when `adapter` is LoRA and nothing else.

    Raises:
        DataError: if it is more, or its settings cannot be read.
    """
    settings = _settings(adapter)
    why = next((said for key, said in BEYOND.items() if settings.get(key)), None)
    if why is None and settings.get("bias", "none") != "none":
        why = "it changes biases"
    if why:
        raise DataError(f"adapter {name!r} cannot be served beside its base: {why}.", next="Use --engine transformers.")


def _settings(adapter: Path) -> dict[str, Any]:
    path = adapter / "adapter_config.json"
    try:
        settings = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as the settings of an adapter: {error}.") from None
    if not isinstance(settings, dict):
        raise DataError(f"{path} cannot be read as the settings of an adapter.")
    return settings
