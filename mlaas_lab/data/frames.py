"""A data frame from a notebook as a file, so that a Spec can name it and its hash.

Any frame with `iter_rows` (polars) or `to_dict` (pandas); neither library is imported here.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from mlaas_lab.data import files
from mlaas_lab.errors import DataError


def from_frame(frame: Any, cache_dir: Path) -> Path:
    """JSON lines with the rows of `frame`, under a name that is their hash; the same rows give the same file.

    Raises:
        DataError: for what is no frame, has no rows, or holds values that JSON cannot.
    """
    lines: list[bytes] = []
    for number, row in enumerate(_rows(frame), 1):
        try:
            lines.append(orjson.dumps(row, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS))
        except (TypeError, ValueError) as error:
            raise DataError(f"row {number} of the data frame cannot be written as JSON: {error}.") from None
    if not lines:
        raise DataError("the data frame has no rows.")
    content = b"\n".join(lines) + b"\n"
    place = cache_dir / "frames" / f"{files.digest(content)[:16]}.jsonl"
    if not place.exists():
        _write(place, content)
    return place


def is_frame(value: Any) -> bool:
    """Whether `from_frame` can write it."""
    kind = type(value)  # asking the value for its columns makes a lazy frame warn
    return hasattr(kind, "columns") and (hasattr(kind, "iter_rows") or hasattr(kind, "to_dict"))


def _rows(frame: Any) -> Iterable[Mapping[str, Any]]:
    if not is_frame(frame):
        raise DataError(f"{type(frame).__name__} is no data frame, expected one of polars or pandas.")
    rows: Iterable[Mapping[str, Any]] = (
        frame.iter_rows(named=True) if hasattr(frame, "iter_rows") else frame.to_dict("records")
    )
    return rows


def _plain(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist"):  # an array or a scalar of numpy that orjson does not know
        return value.tolist()
    if hasattr(value, "isoformat") or type(value).__name__ == "Decimal":
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _write(place: Path, content: bytes) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=place.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(beside).replace(place)
    except OSError as error:
        raise DataError(f"{place} cannot be written: {error.strerror or error}.", next="See `mlaas config`.") from None
