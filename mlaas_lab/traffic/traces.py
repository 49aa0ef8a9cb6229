"""Recorded traces: when requests came, and how long they and their answers were. It knows files and no target.

Column names of the public ones: Azure's LLM inference traces (Patel et al. 2024), BurstGPT (Wang et al. 2024), Mooncake
(Qin et al. 2024), whose times are milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab.errors import DataError
from mlaas_lab.stats.intervals import Floats

FIELDS = ("arrival_s", "input_tokens", "output_tokens")
"""Our own names of the columns; those of the public traces in the same order, with the unit of their times."""
LAYOUTS: tuple[tuple[tuple[str, str, str], float], ...] = (
    (FIELDS, 1.0),
    (("TIMESTAMP", "ContextTokens", "GeneratedTokens"), 1.0),
    (("Timestamp", "Request tokens", "Response tokens"), 1.0),
    (("timestamp", "input_length", "output_length"), 1e-3),
)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Requests in the order in which they came."""

    times_s: Floats
    """(n,), since the first."""
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    n_late: int = 0
    """Rows of the file that came after one with a later time; here they are in order."""


def read(path: Path, names: Mapping[str, str], *, speed: float = 1.0) -> Trace:
    """The trace in the CSV, JSONL or Parquet file `path`, `speed` times as fast; `names` are its columns by ours.

    Raises:
        DataError: if it cannot be read, its columns are not known, or a value is none.
    """
    frame = _frame(path)
    columns, unit_s = _layout(path, frame.columns, names)
    times = _times(path, frame[columns[0]]) * unit_s / speed
    lengths = [_whole(path, frame[column]) for column in columns[1:]]
    if not len(times):
        raise DataError(f"{path} has no rows.")
    order = np.argsort(times, kind="stable")
    return Trace(
        times_s=times[order] - times[order[0]],
        # Failed requests of a trace have no answer; to ask for none is not possible.
        input_tokens=np.maximum(1, lengths[0][order]),
        output_tokens=np.maximum(1, lengths[1][order]),
        n_late=int((times < np.maximum.accumulate(times)).sum()),
    )


def _frame(path: Path) -> pl.DataFrame:
    try:
        if path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
            return pl.read_ndjson(path, infer_schema_length=None)
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False, truncate_ragged_lines=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
        known = "A trace is CSV with a header, JSONL or Parquet."
        raise DataError(f"{path} cannot be read: {why}.", next=known) from None


def _layout(path: Path, columns: list[str], names: Mapping[str, str]) -> tuple[tuple[str, ...], float]:
    if names:
        found = tuple(names.get(field, field) for field in FIELDS)
        if missing := [name for name in found if name not in columns]:
            raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(columns)}.")
        return found, 1.0
    for known, unit_s in LAYOUTS:
        if set(known) <= set(columns):
            return known, unit_s
    raise DataError(
        f"{path}: the columns are {', '.join(columns)}; expected {', '.join(FIELDS)}, or those of a public trace.",
        next="Name yours: --map arrival_s=…,input_tokens=…,output_tokens=… (times in seconds, or dates).",
    )


def _times(path: Path, column: pl.Series) -> Floats:
    """Seconds, from numbers or from dates."""
    if column.dtype == pl.Datetime:
        found = column.dt.timestamp("us").cast(pl.Float64) / 1e6
    else:
        found = column.cast(pl.Float64, strict=False)
    if found.null_count() == len(found) and column.dtype == pl.String:
        # Nanoseconds, and all in one zone: only differences count.
        bare = column.str.strip_chars().str.replace("T", " ").str.replace(r"(Z|[+-]\d\d:?\d\d)$", "")
        dates = bare.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)
        found = dates.dt.timestamp("us").cast(pl.Float64) / 1e6
    _check(path, column, found.is_finite().fill_null(value=False))
    return found.to_numpy().astype(np.float64)


def _whole(path: Path, column: pl.Series) -> NDArray[np.int64]:
    found = column.cast(pl.Float64, strict=False)
    _check(path, column, (found.is_finite() & (found >= 0)).fill_null(value=False))
    return found.to_numpy().astype(np.int64)


def _check(path: Path, column: pl.Series, fine: pl.Series) -> None:
    wrong = (~fine).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{path}: row {row + 1}: {column.name} is {column[row]!r}, expected a number or a date.")
