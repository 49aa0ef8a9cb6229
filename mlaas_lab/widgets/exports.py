"""What a page shows as files in the working folder: CSV, Parquet or one HTML page; never over a file that is there."""

import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from mlaas_lab import __version__, report
from mlaas_lab.errors import DataError
from mlaas_lab.view import Badge, Table, View

Format = Literal["csv", "parquet", "html"]
FORMULA = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet would compute (OWASP, CSV Injection)."""
GUARD = "Texts that begin with = + - or @ have an apostrophe before them there; Parquet has them as they are."


def rows(frame: pl.DataFrame, form: Literal["csv", "parquet"]) -> bytes:
    """Records, or a table, as a file."""
    buffer = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(buffer, compression="zstd")
    else:
        _unarmed(frame).write_csv(buffer)
    return buffer.getvalue()


def frame_of(table: Table) -> pl.DataFrame:
    """A table as it is shown, numbers that are numbers kept; a title that occurs twice gets a number."""
    heads = table.heads
    titles: list[str] = []
    for head in heads:
        title = f"{head.title} {head.unit}".strip()
        titles.append(title if title not in titles else f"{title} {len(titles) + 1}")
    columns = list(zip(*table.rows, strict=True)) or [()] * len(heads)
    series = [_series(title, column) for title, column in zip(titles, columns, strict=True)]
    return pl.DataFrame(series)


def page(views: Sequence[View], *, title: str, commands: Sequence[str]) -> bytes:
    """Views as one page that asks nobody for anything."""
    made_with = f"mlaas_lab {__version__} on Python {sys.version.split()[0]}"
    known = report.Provenance(title=title, made_at=time.time(), made_with=made_with, origins=[], commands=commands)
    return report.page(views, known).encode()


def write(folder: Path, name: str, form: Format, made: Callable[[], bytes]) -> Path:
    """The bytes that `made` gives as a new file in `folder`; a name that is taken gets a number.

    Raises:
        DataError: if it cannot be written.
    """
    content = made()
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80].strip("-") or "compare"
    turn = 1
    while True:
        path = folder / f"{stem}{'' if turn == 1 else f'-{turn}'}.{form}"
        try:
            # Made here or not at all: neither a file nor a link that is there is followed.
            with path.open("xb") as file:
                file.write(content)
            return path
        except FileExistsError:
            turn += 1
        except OSError as error:
            raise DataError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}.") from None


def _series(title: str, column: Sequence[Any]) -> pl.Series:
    if any(isinstance(value, (int, float)) for value in column) and all(
        value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in column
    ):
        whole = all(value is None or isinstance(value, int) for value in column)
        return pl.Series(title, column, dtype=pl.Int64 if whole else pl.Float64, strict=False)
    texts = [None if value is None else value.text if isinstance(value, Badge) else str(value) for value in column]
    return pl.Series(title, texts, dtype=pl.String)


def _unarmed(frame: pl.DataFrame) -> pl.DataFrame:
    texts = pl.col(pl.String)
    frame = frame.rename({name: f"'{name}" for name in frame.columns if re.match(FORMULA, name)})
    return frame.with_columns(pl.when(texts.str.contains(FORMULA)).then("'" + texts).otherwise(texts).name.keep())
