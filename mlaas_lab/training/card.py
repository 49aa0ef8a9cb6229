"""The adapter as a folder that every engine loads: weights, tokenizer, chat template, and a card of how it came about.

The card is written twice: README.md for people, mlaas.json for machines, which compare the base's fingerprint with it.
"""

import hashlib
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlaas_lab import __version__
from mlaas_lab.context import Context, Dataset
from mlaas_lab.errors import JobError
from mlaas_lab.models import CARD, Model
from mlaas_lab.schema import JSON
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training.loading import Loaded

WEIGHTS = "adapter_model.safetensors"
LIBRARIES = ("torch", "transformers", "peft")


def keep(loaded: Loaded, facts: dict[str, JSON], context: Context) -> dict[str, JSON]:
    """Write the adapter to the job's folder; returns `{name, path, sha256, base, params}`.

    Raises:
        JobError: if the disk refuses it.
    """
    folder = context.folder.adapter
    beside = folder.with_name(f".{folder.name}")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        loaded.model.save_pretrained(beside, safe_serialization=True, save_embedding_layers=False)
        loaded.tokenizer.save_pretrained(beside)
        _sort(beside / "adapter_config.json")
        facts = {"name": context.name, "sha256": _sha256(beside / WEIGHTS), **facts}
        (beside / CARD).write_text(json.dumps(facts, indent=1) + "\n")
        (beside / "README.md").write_text(_readme(facts))
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except OSError as error:
        raise JobError(f"adapter {folder} cannot be written: {error.strerror or error}.") from error
    base = facts["base"]
    return {
        "name": context.name,
        "path": str(folder),
        "sha256": facts["sha256"],
        "base": f"{base['name'].partition('@')[0]}@{base['fingerprint']}",
        "params": facts["spec"],
    }


def facts(spec: Finetune, base: Model, datasets: tuple[Dataset, ...], results: dict[str, JSON]) -> dict[str, JSON]:
    """All that is needed to make the adapter again, and what came out."""
    return {
        "base": {"name": base.name, "fingerprint": base.fingerprint, "source": _source(base)},
        "data": [{"name": d.name, "role": d.context, "rows": d.rows, "sha256": d.sha256} for d in datasets],
        "spec": spec.model_dump(mode="json", exclude={"name"}),
        "results": results,
        "versions": {"mlaas_lab": __version__, "python": platform.python_version()}
        | {library: version(library) for library in LIBRARIES},
    }


def _sort(path: Path) -> None:
    """Have the same bytes each time: peft keeps a set of names."""
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "target_modules": sorted(config["target_modules"])}, indent=2) + "\n")


def _source(base: Model) -> str:
    return f"{base.path}@{base.revision}" if base.revision else str(base.path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _readme(facts: dict[str, Any]) -> str:
    base = facts["base"]
    head = {"base_model": base["source"], "library_name": "peft", "tags": ["lora"], "pipeline_tag": "text-generation"}
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    data = [f"| {d['role']} | {d['name']} | {d['rows']} | `{d['sha256']}` |" for d in facts["data"]]
    return (
        "\n".join(
            [
                f"---\n{front}\n---",
                f"# {facts['name']}",
                f"LoRA weights for `{base['name']}@{base['fingerprint']}`, SHA-256 `{facts['sha256']}`.",
                "They fit this base only, and answer as well as the data below lets them.",
                "## Data\n\n| role | name | rows | SHA-256 |\n|---|---|---|---|\n" + "\n".join(data),
                "## Results\n\n" + _table(facts["results"]),
                "## Options\n\n" + _table(facts["spec"]),
                "## Versions\n\n" + _table(facts["versions"]),
            ]
        ).replace("\n#", "\n\n#")
        + "\n"
    )


def _table(values: dict[str, Any]) -> str:
    rows = [f"| {key} | {_shown(value)} |" for key, value in values.items()]
    return "| | |\n|---|---|\n" + "\n".join(rows)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("|", "\\|")
