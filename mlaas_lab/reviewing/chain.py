"""A log that only grows: each entry carries the digest of the one before, so that none can be changed unseen.

What a chain alone cannot tell is that its end was cut off: the digest of the last entry also stands elsewhere, in
MLflow. It knows entries, and not what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from mlaas_lab.errors import DataError
from mlaas_lab.reviewing import lines
from mlaas_lab.schema import JSON

FIRST = "0" * 64
"""What the first entry carries."""
PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a look through a log found."""

    n: int
    """Whole entries."""
    n_torn: int
    """Lines that a crash tore: nobody was told that they are signed."""
    line: int | None
    """The first line that does not fit, from 1; None: all do."""
    why: str
    head: str
    """Digest of the last entry."""

    @property
    def ok(self) -> bool:
        """Every entry is as it was written, and none is missing before the last."""
        return self.line is None


def digest(value: Mapping[str, JSON]) -> str:
    """SHA-256 of what `value` says: its JSON with sorted keys and no spaces."""
    return sha256(orjson.dumps(lines.clean(dict(value)), option=orjson.OPT_SORT_KEYS)).hexdigest()


def append(path: Path, entry: Mapping[str, JSON]) -> dict[str, JSON]:
    """Add an entry to the log at `path`; the entry as it stands there.

    Raises:
        DataError: if the log does not verify, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE_S):
            known = verify(path)
            if not known.ok:
                raise DataError(
                    f"{path} does not verify: line {known.line} {known.why}; nothing is signed on top of it.",
                    next="Compare it with the copy in MLflow; move it away to begin a new log.",
                )
            written = {**lines.clean(dict(entry)), "n": known.n + 1, "before": known.head}
            written["hash"] = digest(written)
            lines.append(path, written)
            return written
    except Timeout:
        raise DataError(f"{path} is being written by somebody else.", next="Try again in a moment.") from None


def entries(path: Path) -> list[dict[str, Any]]:
    """The whole entries of the log at `path`, in their order."""
    return lines.rows(path)


def verify(path: Path) -> Verified:
    """Look through the log at `path`.

    Raises:
        DataError: if it cannot be read.
    """
    n, torn, head = 0, 0, FIRST
    for place, line in enumerate(_raw(path), 1):
        entry = _entry(line)
        if entry is None:
            torn += 1
            continue
        why = _wrong(entry, n + 1, head)
        if why:
            return Verified(n=n, n_torn=torn, line=place, why=why, head=head)
        n, head = n + 1, str(entry["hash"])
    return Verified(n=n, n_torn=torn, line=None, why="", head=head)


def _wrong(entry: Mapping[str, Any], n: int, head: str) -> str:
    """Why an entry does not fit; empty if it does."""
    own = {key: value for key, value in entry.items() if key != "hash"}
    if entry.get("hash") != digest(own):
        return "is not as it was written"
    if entry.get("before") != head or entry.get("n") != n:
        return "does not follow the entry before it: one is missing or was changed"
    return ""


def _raw(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
