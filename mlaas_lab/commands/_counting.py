"""How many tokens a chat has, counted by a base that is on this machine: a command does not build or download one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mlaas_lab import models, registry
from mlaas_lab.data.tokens import counter
from mlaas_lab.errors import DataError, MissingExtra
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Message

Count = Callable[[Sequence[Message]], int]


def counting(base: str, lab: Lab) -> tuple[Count | None, str]:
    """How to count tokens, or why they cannot be counted."""
    model = models.locate(base, lab.settings)
    try:
        place = _here(model)
        return (counter(place), "") if place else (None, _absent(base))
    except (DataError, MissingExtra) as error:
        return None, str(error)


def _here(model: models.Model) -> Path | None:
    """The folder with the model's tokenizer, if it is on this machine."""
    if isinstance(model.path, Path):
        return model.path if model.path.exists() else None
    in_cache = registry.resolve("huggingface_hub:try_to_load_from_cache")
    found = in_cache(model.path, "tokenizer.json", revision=model.revision)
    return Path(found).parent if isinstance(found, str) else None


def _absent(base: str) -> str:
    builds = " or `mlaas tiny`" if base == models.TINY else ""
    return f"{base} is not on this machine yet; the first fine-tune{builds} brings it"
