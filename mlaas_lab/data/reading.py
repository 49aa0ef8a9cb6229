"""A dataset file as chats: `scan` tells every bad row, `load` stops at the first.

The format is seen from the name and the first bytes: JSON lines, a JSON array, CSV, TSV (each may be gzipped), Parquet.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from mlaas_lab.data import delimited, files, rows
from mlaas_lab.data.chats import Chat, content_id, numbered
from mlaas_lab.data.snapshots import resolve
from mlaas_lab.errors import DataError

ARRAY_BYTES = 2**30
"""Longest JSON array: unlike lines, it has to be read whole."""
Format = Literal["json", "csv", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A row that is no chat."""

    line: int
    message: str


def load(
    path: Path, *, mapping: Mapping[str, str] | None = None, answered: bool = False, distinct: bool = False
) -> list[Chat]:
    """All chats of a dataset file, a snapshot (its train part) or `SNAPSHOT/test`.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet.
        mapping: column → field, as in `--map question=user,answer=assistant`.
        answered: refuse rows without a question or without an answer, which cannot be trained on.
        distinct: refuse two rows that give the same id; rows that give none may be equal.

    Raises:
        DataError: for a file that cannot be read, has no rows, or at its first bad row.
        UsageError: for a mapping to a field that does not exist.
    """
    path = resolve(path)
    found: list[Chat] = []
    for row in scan(path, mapping=mapping):
        if isinstance(row, Bad):
            raise rows.located(path, row.line, row.message, unit=unit(path))
        if answered and row.one_sided:
            side = "answer" if not (row.answer or "").strip() else "question"
            reason = f"the chat has no {side}, expected user and assistant with text, the assistant last"
            raise rows.located(path, row.line, reason, unit=unit(path))
        found.append(row)
    if not found:
        raise no_rows(path)
    if distinct:
        _check_ids(path, found)
    return list(numbered(found))


def _check_ids(path: Path, chats: Sequence[Chat]) -> None:
    seen: dict[str, int] = {}
    for chat in chats:
        if chat.id in seen and chat.id != content_id(chat.messages):
            where = f"{unit(path) or 'line'}s {seen[chat.id]} and {chat.line}"
            raise DataError(
                f"{path}: {where} have the same id {chat.id!r}.", next="Give each an id of its own, or none."
            )
        seen.setdefault(chat.id, chat.line)


def scan(path: Path, *, mapping: Mapping[str, str] | None = None) -> Iterator[Chat | Bad]:
    """Each row of a file, in order, as a chat or as what is wrong with it; ids may repeat.

    Raises:
        DataError: when the file itself is broken from some place on.
        UsageError: for a mapping to a field that does not exist.
    """
    names = rows.columns(mapping)
    for line, row in _raw(path, names):
        if isinstance(row, rows.BadRow):
            yield Bad(line=line, message=str(row))
            continue
        try:
            yield rows.chat(row, names, line=line)
        except rows.BadRow as error:
            yield Bad(line=line, message=str(error))


def unit(path: Path) -> str:
    """What rows are counted in: lines of text, or rows of a table."""
    return "row" if path.suffix in (".parquet", ".pq") else ""


def no_rows(path: Path) -> DataError:
    """The error for a file without a single row."""
    return DataError(f"{path} has no rows.", next="Write one chat per line, as {'messages': [...]} in JSON.")


def _raw(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Any]]:
    match _format(path):
        case "csv":
            return delimited.rows_of(path, names)
        case "parquet":
            # Polars costs 0.15 s to import: only where a Parquet file is read.
            from mlaas_lab.data import parquet

            return parquet.rows_of(path, names)
        case "json":
            return _json(path)


def _format(path: Path) -> Format:
    with files.opened(path) as file:
        start = file.read(64)
    name = path.name.removesuffix(".gz").lower()
    known = next((fmt for suffix, fmt in SUFFIXES.items() if name.endswith(suffix)), None)
    if start.startswith(b"PAR1"):
        return "parquet"
    if known is None and start.removeprefix(files.UTF8_BOM).lstrip()[:1] in (b"{", b"["):
        return "json"
    if known is None and start:
        raise DataError(f"{path} has no format we read.", next="Expected JSONL, JSON, CSV, TSV or Parquet (or .gz).")
    return known or "json"


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    """JSON lines; if the first one opens an array, the array's items."""
    source = files.lines(path)
    number, first = next(((number, line) for number, line in source if line.strip()), (0, b""))
    if first.lstrip().startswith(b"["):
        yield from _array(path, number, first, source)
        return
    if first.strip() == b"{":
        reason = "the file is one JSON object over many lines, expected one row per line (JSONL) or an array of rows"
        raise DataError(f"{path}:{number}: {reason}.", next="Save its rows: json.dumps(row) on a line each.")
    for place, line in chain([(number, first)], source):
        if line.strip():
            yield place, _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return DECODER.decode(line.decode().rstrip("\r\n"))
    except (ValueError, RecursionError) as error:
        return _broken(error)


def _array(path: Path, number: int, line: bytes, source: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    parts, size = [line], len(line)
    for _, more in source:
        size += len(more)
        if size > ARRAY_BYTES:
            raise DataError(f"{path} is a JSON array over {ARRAY_BYTES // 2**30} GiB.", next="Save it as JSONL.")
        parts.append(more)
    try:
        text = b"".join(parts).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].count(b"\n")
        raise rows.located(path, number + before, str(_broken(error))) from None
    yield from _items(path, text, number)


def _items(path: Path, text: str, number: int) -> Iterator[tuple[int, Any]]:
    """The items of the array that `text` holds, each with its line; broken JSON ends it."""
    at, counted = text.index("[") + 1, 0
    closing = ""
    while closing != "]":
        at = _past_space(text, at)
        number, counted = number + text.count("\n", counted, at), at
        if text.startswith("]", at):
            break
        try:
            item, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise rows.located(path, number, str(_broken(error))) from None
        yield number, item
        at = _past_space(text, at)
        closing, at = text[at : at + 1], at + 1
        if closing not in ("]", ","):
            raise rows.located(path, number, "broken JSON after this item, expected , or ]")
    if text[_past_space(text, at + (closing != "]")) :]:
        raise rows.located(path, number, "there is more text after the array, expected its end")


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _broken(error: Exception) -> rows.BadRow:
    match error:
        case json.JSONDecodeError():
            what = error.msg[:1].lower() + error.msg[1:]
            return rows.BadRow(f"broken JSON at column {error.colno} ({what}), expected one whole object per line")
        case UnicodeDecodeError():
            byte, column = error.object[error.start], error.start + 1
            return rows.BadRow(f"byte 0x{byte:02x} at column {column} is not UTF-8, expected UTF-8 text")
        case RecursionError():
            return rows.BadRow("the JSON is nested too deep, expected an object with messages")
        case _:
            return rows.BadRow(f"unusable JSON: {str(error).split(';')[0]}, expected text and plain numbers")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
"""Strict: a key that stands twice and NaN are refused, since the writer meant something that is lost."""
