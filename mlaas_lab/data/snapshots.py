"""A snapshot: a split frozen on disk, with a manifest that says what it was made of.

`train.jsonl`, `test.jsonl`, `manifest.json`. The folder appears whole or not at all, its files are read-only, and one
that was edited afterwards is refused, so a result can name its data by the manifest's SHA-256.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlaas_lab.data import files
from mlaas_lab.data.chats import Chat
from mlaas_lab.data.splits import Split
from mlaas_lab.errors import DataError, did_you_mean
from mlaas_lab.schema import JSON

MANIFEST = "manifest.json"
FORMAT = "mlaas-snapshot-1"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Where a frozen split lies."""

    path: Path
    sha256: str
    """Of the manifest, which holds the hashes of the files."""
    train_rows: int
    test_rows: int

    def as_json(self) -> JSON:
        """The object that `--json` prints."""
        rows = {"train": self.train_rows, "test": self.test_rows}
        return {"path": str(self.path), "sha256": self.sha256, "rows": rows}


def snapshot(split: Split, folder: Path, *, source: Path, mapping: dict[str, str] | None = None) -> Snapshot:
    """Write `split` to `folder`; the same snapshot written twice is found, not repeated.

    Raises:
        DataError: if the folder holds something else, or cannot be written.
    """
    folder = folder.expanduser().resolve()
    parts = {"train.jsonl": _jsonl(split.train), "test.jsonl": _jsonl(split.test)}
    rows = {"train.jsonl": len(split.train), "test.jsonl": len(split.test)}
    origin = {"name": source.name, "sha256": sha256(source), "map": mapping or {}}
    manifest = {
        "format": FORMAT,
        "files": {name: {"rows": rows[name], "sha256": files.digest(text)} for name, text in parts.items()},
        "split": {"test": split.share, "seed": split.seed, "by": split.by},
        "source": origin,
    }
    whole = {**parts, MANIFEST: (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()}
    if folder.exists():
        _same(folder, whole[MANIFEST])
    else:
        try:
            _write(folder, whole)
        except OSError as error:
            raise DataError(
                f"{folder} cannot be written: {error.strerror or error}.", next="Try another --out."
            ) from None
    return Snapshot(
        path=folder, sha256=files.digest(whole[MANIFEST]), train_rows=len(split.train), test_rows=len(split.test)
    )


def resolve(path: Path) -> Path:
    """The file that `path` means: a snapshot's folder is its train part, `SNAPSHOT/test` its held-out one.

    Raises:
        DataError: for a folder that is no snapshot, or a snapshot that was edited.
    """
    path = path.expanduser()
    # os.path says no for a name that no file can have, where Path raises.
    folder, part = (path, "train.jsonl") if os.path.isdir(path) else (path.parent, path.name)
    if not os.path.isfile(folder / MANIFEST):
        return path
    if path != folder and "." not in part:
        part = f"{part}.jsonl"
    manifest = _manifest(folder)
    if part not in manifest:
        return path if os.path.isfile(path) else folder / _known(folder, part, manifest)
    if files.sha256(folder / part) != manifest[part]:
        raise DataError(f"{folder / part} was edited after the snapshot was made.", next="Make a new snapshot.")
    return folder / part


def sha256(path: Path) -> str:
    """SHA-256 of a dataset: of a file's bytes, of a snapshot's manifest.

    Raises:
        DataError: if it cannot be read, or if a snapshot was edited.
    """
    resolved, folder = resolve(path), path.expanduser()
    return files.sha256(folder / MANIFEST if resolved.parent == folder else resolved)


def _known(folder: Path, part: str, manifest: dict[str, str]) -> str:
    hint = did_you_mean(part, manifest) or f"It has: {', '.join(sorted(manifest))}."
    raise DataError(f"the snapshot {folder} has no part {part!r}.", next=hint)


def _manifest(folder: Path) -> dict[str, str]:
    """File → SHA-256, for a folder with a manifest of ours."""
    try:
        found: Any = json.loads(b"".join(line for _, line in files.lines(folder / MANIFEST)))
        if found["format"] != FORMAT:
            raise ValueError(found["format"])
        return {str(name): str(entry["sha256"]) for name, entry in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"{folder / MANIFEST} is no manifest of a snapshot, expected format {FORMAT!r}.",
            next="Make a snapshot: mlaas data check FILE --out DIR",
        ) from None


def _jsonl(chats: Sequence[Chat]) -> bytes:
    lines = []
    for chat in chats:
        row: dict[str, JSON] = {"id": chat.id}
        row["messages"] = [{"role": message.role, "content": message.content} for message in chat.messages]
        row |= {"group": chat.group} if chat.group else {}
        row |= {"contexts": list(chat.contexts)} if chat.contexts else {}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def _same(folder: Path, manifest: bytes) -> None:
    place = folder / MANIFEST
    if not place.is_file() or place.read_bytes() != manifest:
        raise DataError(
            f"{folder} exists and holds something else.", next="A snapshot is never overwritten: try another --out."
        )
    resolve(folder / "train.jsonl")
    resolve(folder / "test.jsonl")


def _write(folder: Path, parts: dict[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, beside)
        for name, text in parts.items():
            with (beside / name).open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            (beside / name).chmod(0o444)
        beside.chmod(0o755)
        beside.rename(folder)
        undo.pop_all()
