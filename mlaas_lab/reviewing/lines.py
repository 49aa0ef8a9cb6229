"""Lines of JSON that are on the disk when `append` returns; what a crash tore is no line, and costs no other.

It knows files, and not what the lines say.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from mlaas_lab.durable import settle
from mlaas_lab.errors import DataError
from mlaas_lab.records import journal
from mlaas_lab.schema import JSON


def append(path: Path, line: Mapping[str, JSON]) -> None:
    """Add one line to the file at `path`, its folder made if it is not there.

    One write: of two processes that add at once, neither cuts the other's line. One that the other is still writing
    looks torn; then an empty line comes after it, which says nothing.

    Raises:
        DataError: if that cannot be done; what stood there before still does.
    """
    written = orjson.dumps(clean(dict(line)), option=orjson.OPT_APPEND_NEWLINE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            cut = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
            whole = b"\n" * cut + written
            if file.write(whole) != len(whole):
                raise OSError(28, "the disk is full")
            os.fsync(file.fileno())
        if new:
            settle(path.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path} cannot be written: {reason}.", next="Make room, then say it again.") from error


def rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines of the file at `path`, in their order; none if there is no file.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return list(journal.rows(path)) if path.exists() else []
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def clean(value: JSON) -> JSON:
    """`value` with what no UTF-8 file can hold, half of a character, replaced."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {clean(key): clean(one) for key, one in value.items()}
        case list() | tuple():
            return [clean(one) for one in value]
        case _:
            return value
