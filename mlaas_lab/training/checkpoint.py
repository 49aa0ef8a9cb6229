"""Checkpoints: tensors and facts that outlive the process, whole or not at all.

A checkpoint is a folder with a manifest of SHA-256 that is written last; the folder takes its name when all of it is on
disk. One that does not verify is passed over for the one before. Nothing is pickled, and nothing here knows what the
tensors mean.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from mlaas_lab.durable import settle as _settle
from mlaas_lab.errors import JobError
from mlaas_lab.schema import JSON

TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"
KEPT = 2
"""Checkpoints that stay: the newest, and the one before in case its disk block is bad."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What was saved."""

    step: int
    tensors: Mapping[str, Tensor]
    facts: JSON


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Save `checkpoint` in `folder`, which is the caller's alone, unless that step is there; drop those not needed.

    Raises:
        JobError: if the disk refuses it.
    """
    name = f"step-{checkpoint.step:08d}"
    if _verified(folder / name):
        return folder / name
    parts = {
        TENSORS: save({key: tensor.detach().cpu().contiguous() for key, tensor in checkpoint.tensors.items()}),
        FACTS: json.dumps(checkpoint.facts, sort_keys=True).encode(),
    }
    hashes = {part: hashlib.sha256(content).hexdigest() for part, content in parts.items()}
    parts[MANIFEST] = json.dumps({"step": checkpoint.step, "sha256": hashes}, indent=1).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".step-*"):
            _drop(left)
        beside = folder / f".{name}"
        beside.mkdir()
        for part, content in parts.items():
            _put(beside / part, content)
        _settle(beside)
        if (folder / name).exists():
            _drop(folder / name)
        _rename(beside, folder / name)
        _settle(folder)
        for old in sorted(folder.glob("step-*"))[:-KEPT]:
            _drop(old)
    except OSError as error:
        raise JobError(f"checkpoint {folder / name} cannot be written: {error.strerror or error}.") from error
    return folder / name


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in `folder` that verifies, or None."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        found = _verified(path)
        if found is not None:
            return found
    return None


def clear(folder: Path) -> None:
    """Forget all checkpoints in `folder`, the newest first."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        _drop(path)


def _verified(path: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        parts = {part: (path / part).read_bytes() for part in (TENSORS, FACTS)}
        if any(hashlib.sha256(content).hexdigest() != manifest["sha256"][part] for part, content in parts.items()):
            return None
        return Checkpoint(step=manifest["step"], tensors=load(parts[TENSORS]), facts=json.loads(parts[FACTS]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _put(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _drop(folder: Path) -> None:
    """Remove a checkpoint; its manifest first, so that half of one is none."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)
