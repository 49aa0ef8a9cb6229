"""Parquet: only the columns that make a chat are read, a slice at a time.

Polars' own reader: it runs no code that a file names. A path is never a pattern or an address here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlaas_lab.data import files
from mlaas_lab.data.rows import ALIASES, FIELDS, unknown_columns
from mlaas_lab.errors import DataError

SLICE_ROWS = 20_000


def rows_of(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Any]]:
    """Each row as a dict, with its number from 1.

    Raises:
        DataError: if the file is cut, damaged or no Parquet, or its columns make no chat.
    """
    _look(path)
    try:
        yield from _read(path, names)
    except (PolarsError, PanicException, OSError, ValueError, MemoryError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet: {_reason(error)}.", next="It is cut or damaged: write or copy it again."
        ) from None


def _read(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, Any]]:
    table = pl.scan_parquet(path.expanduser().absolute(), glob=False, hive_partitioning=False)
    schema = table.collect_schema()
    if wrong := unknown_columns(schema.names(), names):
        raise DataError(f"{path}: {wrong}.", next=f"`mlaas data check {path} --map …` shows what would be read.")
    used = [column for column in schema.names() if _used(column, names)]
    table = table.select(_as_text(column, schema[column]) for column in used)
    start = 0
    while len(part := table.slice(start, SLICE_ROWS).collect()):
        yield from enumerate(part.iter_rows(named=True), start + 1)
        start += SLICE_ROWS


def _reason(error: BaseException) -> str:
    if isinstance(error, PanicException):  # its words are about the reader's source
        return "its parts contradict each other"
    text = " ".join(str(error).split()).removeprefix("parquet: ").removeprefix("File out of specification: ")
    return text[:120].rstrip(".")


def _used(column: str, names: Mapping[str, str]) -> bool:
    return column in names or column in FIELDS or column in ALIASES


def _as_text(column: str, kind: pl.DataType) -> pl.Expr:
    """A typed column of numbers or categories was meant as text; nested columns stay as they are."""
    if kind.is_integer() or kind == pl.Boolean or isinstance(kind, (pl.Categorical, pl.Enum)):
        return pl.col(column).cast(pl.String)
    return pl.col(column)


def _look(path: Path) -> None:
    with files.opened(path) as file:
        start = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - 4))
        end = file.read(4)
    if start != b"PAR1" or end != b"PAR1" or size < 12:
        what = "is empty" if not size else "does not begin and end with PAR1: it is cut or is no Parquet"
        raise DataError(f"{path} {what}.", next="Write or copy it again.")
