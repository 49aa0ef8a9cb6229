"""What a server that runs shall do: wishes as files in its job's folder, each with an answer beside it.

Whoever wishes and the job that serves need not know each other, nor live at the same time.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mlaas_lab.errors import JobError, LabError, UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder, read_json, write_json

POLL_S = 0.1
ANSWER = ".answer.json"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One wish."""

    add: str = ""
    """An adapter, as the user named it."""
    name: str = ""
    """Of its endpoint; empty: as the adapter."""
    remove: str = ""
    """An endpoint."""
    asleep: bool | None = None
    """Whether the server shall rest; None: as it is."""


def wanted(folder: JobFolder) -> Iterator[tuple[Path, Change]]:
    """Wishes without an answer, the oldest first, each with the place of its answer."""
    if not folder.changes.exists():
        return
    files = [path for path in folder.changes.glob("*.json") if not path.name.startswith(".")]
    for path in sorted(files, key=lambda path: path.name):
        answer = path.with_name(path.stem + ANSWER)
        if not path.name.endswith(ANSWER) and not answer.exists():
            yield answer, Change(**read_json(path))


def answered(path: Path, act: Callable[[], None]) -> str | None:
    """Do what was wished and write what became of it: why it was not possible, or None."""
    try:
        act()
    except LabError as error:
        write_json(path, {"error": error.as_json()})
        return str(error)
    write_json(path, {"error": None})
    return None


def ask(folder: JobFolder, change: Change, *, alive: Callable[[], bool], within_s: float) -> None:
    """Leave a wish, and return when it was granted.

    Raises:
        JobError: if it cannot be granted, with the reason; or the job ends, or does not answer in time.
    """
    folder.changes.mkdir(exist_ok=True)
    path = folder.changes / f"{time.time_ns()}-{secrets.token_hex(3)}.json"
    write_json(path, asdict(change))
    answer = path.with_name(path.stem + ANSWER)
    deadline = time.monotonic() + within_s
    while not answer.exists():
        if not alive():
            raise JobError(f"the server of job {folder.path.name} has ended.", next=f"See why: logs {folder.path.name}")
        if time.monotonic() > deadline:
            raise JobError(f"no answer within {within_s:g} s.", next=f"See why: logs {folder.path.name}")
        time.sleep(POLL_S)
    error: JSON = read_json(answer)["error"]
    if error is not None:
        kind = UsageError if error["name"] == "usage_error" else JobError
        raise kind(error["message"], next=error["next"])
