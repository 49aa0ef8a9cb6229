"""CSV and TSV: a header, then one row per record, with the line on which a record ends.

Python's own reader in strict mode, since it knows lines; every value stays text.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlaas_lab.data import files
from mlaas_lab.data.rows import BadRow, located, unknown_columns


def rows_of(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Any]]:
    """Each record as a dict, or a `BadRow`, with the line it starts on.

    Raises:
        DataError: for bytes that are not UTF-8, quotes that never close, or columns that make no chat.
    """
    source = _decoded(path)
    first = next(source, None)
    if first is None:
        return
    reader = csv.reader(_chained(first, source), delimiter=_delimiter(path, first), strict=True)
    records = _records(path, reader)
    _, header = next(records)
    header = [name.strip() for name in header]
    if wrong := _wrong(header, names):
        raise located(path, 1, wrong)
    for line, record in records:
        if not record:
            continue
        if len(record) != len(header):
            yield line, BadRow(f"the row has {_fields(len(record))}, expected {len(header)} as in the header")
        else:
            # An empty cell is an absent value: CSV cannot tell the two apart.
            yield line, {name: value for name, value in zip(header, record, strict=True) if value}


def _records(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise located(path, line, f"broken CSV ({error}), expected quotes to be closed and doubled") from None
        yield line, record


def _decoded(path: Path) -> Iterator[str]:
    for number, line in files.lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            reason = f"byte 0x{line[error.start]:02x} at column {error.start + 1} is not UTF-8, expected UTF-8 text"
            raise located(path, number, reason) from None
        if "\0" in text:
            raise located(path, number, "the line holds a NUL byte, expected text")
        yield text


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(path: Path, header: str) -> str:
    """By name for TSV; else the sign the header has: some programs write `;` into .csv files."""
    if path.name.removesuffix(".gz").endswith(".tsv"):
        return "\t"
    return ";" if ";" in header and "," not in header else ","


def _wrong(header: list[str], names: Mapping[str, str]) -> str | None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        return f"the column {twice!r} stands twice, expected names that differ"
    return unknown_columns(header, names)


def _fields(n: int) -> str:
    return f"{n} field" if n == 1 else f"{n} fields"
