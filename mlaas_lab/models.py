"""What a model's name stands for: `tiny`, a folder, a hub id, or an adapter that a fine-tune made.

`locate` says where a model is and what its content is, without building, downloading or importing anything heavy;
`materialize` puts it on disk. Weights are safetensors, because a pickle runs code when it is read. Nothing here knows
how a model is trained or served.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json, write_json

TINY = "tiny"
CARD = "mlaas.json"
"""In an adapter's folder: base with its fingerprint, data, spec and results, for machines."""
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")
CONTENT = ("*.safetensors", "*.safetensors.index.json", "*config.json", "tokenizer*", "*.jinja", "vocab*", "merges.txt")
"""Files that decide what a model answers."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

Progress = Callable[[int, int | None, str], None]
"""Called with how much is done, of how much (None: unknown), and in which phase."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Something that can be fine-tuned or served."""

    name: str
    """As the user wrote it."""
    path: Path | str
    """A folder, or a hub id where it is not here yet."""
    revision: str | None = None
    """Of a hub id."""
    fingerprint: str
    """16 hex digits over the content, of `tiny` over its recipe; of a hub id over id and revision."""
    base: "Model | None" = None
    """What an adapter was trained on; None for a whole model."""


def locate(name: str, settings: Settings) -> Model:
    """The model that `name` stands for; nothing is built, and no network is used.

    Raises:
        UsageError: if nothing goes by that name.
        DataError: if it is a folder that is no model, holds pickled weights, or an adapter whose base is another now.
    """
    name = name.strip()
    if name == TINY or name.startswith(f"{TINY}@"):
        return _tiny(name, settings)
    adapters = _adapters(settings) if "/" not in name else {}
    if name in adapters:
        return _folder(name, adapters[name], settings)
    path = Path(name).expanduser()
    if path.is_dir() and ("/" in name or any(path.glob("*config.json"))):
        return _folder(name, path.absolute(), settings)
    if HUB_ID.fullmatch(name) and not path.exists():
        return _hub(name, settings)
    raise _unknown(name, path, adapters)


def materialize(model: Model, progress: Progress) -> Path:
    """The folder of `model`, built or downloaded first if it is not here.

    Raises:
        DataError: if the hub does not give it.
        MissingExtra: without the libraries that build or download.
    """
    if isinstance(model.path, str):
        return _download(model.path, model.revision, progress)
    if not model.path.exists() and model.path.name == f"{TINY}-{model.fingerprint}":
        registry.resolve("mlaas_lab.training.tiny:build")(model.path, progress)
    return model.path


def tiny_path(settings: Settings, fingerprint: str) -> Path:
    """Where `tiny` of that recipe is, or will be."""
    return settings.cache_dir / "models" / f"{TINY}-{fingerprint}"


def _tiny(name: str, settings: Settings) -> Model:
    now: str = registry.resolve("mlaas_lab.training.recipe:fingerprint")()
    wanted = name.partition("@")[2]
    built = (path.name.removeprefix(f"{TINY}-") for path in sorted(tiny_path(settings, "").parent.glob(f"{TINY}-*")))
    known = [now, *(fingerprint for fingerprint in built if fingerprint != now)]
    found = next((fingerprint for fingerprint in known if fingerprint.startswith(wanted)), None)
    if found is None:
        hint = f"Here are: {', '.join(f'{TINY}@{one[:8]}' for one in known)}."
        raise UsageError(f"{name!r} is a {TINY} of another recipe, and was not built here.", next=hint)
    return Model(name=name, path=tiny_path(settings, found), fingerprint=found)


def _folder(name: str, path: Path, settings: Settings) -> Model:
    if path.parent == tiny_path(settings, "").parent and path.name.startswith(f"{TINY}-"):
        return Model(name=name, path=path, fingerprint=path.name.removeprefix(f"{TINY}-"))
    adapter = (path / "adapter_config.json").is_file()
    if not adapter and not (path / "config.json").is_file():
        raise DataError(f"{str(path)!r} is no model: it has no config.json and no adapter_config.json.")
    _refuse_pickles(path, "adapter_model" if adapter else "*")
    base = _base(name, path, settings) if adapter else None
    fingerprint = _digest(path, settings)
    if base:
        fingerprint = hashlib.sha256(f"{fingerprint} {base.fingerprint}".encode()).hexdigest()[:16]
    return Model(name=name, path=path, fingerprint=fingerprint, base=base)


def _refuse_pickles(path: Path, stem: str) -> None:
    if any(path.glob(f"{stem}.safetensors")):
        return
    pickled = sorted(found.name for pattern in PICKLES for found in path.glob(pattern))
    if pickled:
        raise DataError(
            f"{str(path)!r} has its weights in {pickled[0]!r}, a pickle that runs code when it is read.",
            next="Save them with safe_serialization=True, as safetensors.",
        )
    raise DataError(f"{str(path)!r} has no weights; {stem}.safetensors was expected.")


def _base(name: str, path: Path, settings: Settings) -> Model:
    """What the adapter in `path` was trained on, if that is still the same."""
    written = read_json(path / "adapter_config.json").get("base_model_name_or_path")
    trained: dict[str, Any] = (read_json(path / CARD) or {}).get("base", {})
    if not (trained or written):
        raise DataError(f"adapter {name!r} does not say which base it was trained on.")
    fingerprint = trained.get("fingerprint", "")
    if str(trained.get("name", "")).partition("@")[0] == TINY:
        return locate(f"{TINY}@{fingerprint}", settings)
    base = locate(trained.get("source") or written, settings)
    if fingerprint and base.fingerprint != fingerprint:
        raise DataError(
            f"adapter {name!r} was trained on {base.name}@{fingerprint[:8]}, and that is {base.fingerprint[:8]} now.",
            next="Bring back that base, or train the adapter again.",
        )
    return base


def _hub(name: str, settings: Settings) -> Model:
    repository, _, revision = name.partition("@")
    fingerprint = hashlib.sha256(f"{repository}@{revision or 'main'}".encode()).hexdigest()[:16]
    here: Path | str = repository
    if settings.offline:
        here = _cached(repository, revision or None)
    return Model(name=name, path=here, revision=revision or None, fingerprint=fingerprint)


def _cached(repository: str, revision: str | None) -> Path:
    snapshot = registry.resolve("huggingface_hub:try_to_load_from_cache")(repository, "config.json", revision=revision)
    if not isinstance(snapshot, str):
        raise UsageError(
            f"{repository!r} was not downloaded before, and `offline` is set.", next="%config offline=false"
        )
    return Path(snapshot).parent


def _download(repository: str, revision: str | None, progress: Progress) -> Path:
    hub = registry.resolve("huggingface_hub")
    problems = registry.resolve("huggingface_hub.errors")
    progress(0, None, f"fetching {repository}")
    try:
        folder = hub.snapshot_download(repository, revision=revision, allow_patterns=[*CONTENT, "*.json", "*.model"])
    except (problems.HfHubHTTPError, problems.LocalEntryNotFoundError, problems.HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{repository!r} cannot be fetched from the hub: {reason}.",
            next="Check the id, the network, and `HF_TOKEN` for a gated model; or name a folder.",
        ) from None
    _refuse_pickles(Path(folder), "*")
    return Path(folder)


def _adapters(settings: Settings) -> dict[str, Path]:
    """Folder of each adapter by name, of the newest fine-tune that succeeded."""
    if not settings.store_path.exists():
        return {}
    store = Store(settings.store_path)
    try:
        jobs = store.jobs(task="finetune", states=[JobState.SUCCEEDED])
    finally:
        store.close()
    folders = {job.name: JobFolder(job.folder).adapter for job in reversed(jobs)}
    return {name: path for name, path in folders.items() if path.is_dir()}


def _unknown(name: str, path: Path, adapters: dict[str, Path]) -> UsageError:
    if path.is_file():
        return UsageError(f"{name!r} is a file; a model is a folder, a hub id, an adapter, or {TINY!r}.")
    if "/" in name or name.startswith((".", "~")):
        return UsageError(f"no model in {name!r}: there is no such folder.")
    hint = did_you_mean(name, [TINY, *adapters]) or f"Known: {', '.join([TINY, *sorted(adapters)])}."
    return UsageError(f"unknown model {name!r}.", next=f"{hint} A hub id has a slash: owner/{name or 'name'}.")


def _digest(path: Path, settings: Settings) -> str:
    """16 hex digits over the files that decide; computed once per state of the files."""
    files = sorted({found for pattern in CONTENT for found in path.glob(pattern) if found.is_file()})
    state = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    memory = settings.cache_dir / "fingerprints.json"
    known = read_json(memory) or {}
    if known.get(str(path), {}).get("state") == state:
        return str(known[str(path)]["digest"])
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        for block in _blocks(file):
            digest.update(block)
    known[str(path)] = {"state": state, "digest": digest.hexdigest()[:16]}
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_json(memory, known)
    return str(known[str(path)]["digest"])


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(1 << 20):
            yield block
