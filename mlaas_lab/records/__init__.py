"""The one table everybody reads: a row per run, target, sample and repeat, with what it said, cost, took and scored.

While calls arrive, each row is a line in a journal beside the file the moment it is known, so a killed evaluation loses
nothing that was answered and its next attempt goes on from there. At the end the journal becomes Parquet, and the
journal goes. `read` takes what there is. Unknown is null, never 0. Nothing here knows how a record came about or what a
metric means.
"""

from pathlib import Path

import orjson
import polars as pl

from mlaas_lab.errors import DataError
from mlaas_lab.records.columns import COLUMNS, JUDGE_COLUMNS, METRIC_COLUMNS, metrics_of, schema
from mlaas_lab.records.journal import rows
from mlaas_lab.records.writer import Writer, journal_of, left_behind, save, write

__all__ = [
    "COLUMNS",
    "JUDGE_COLUMNS",
    "METRIC_COLUMNS",
    "Writer",
    "counted",
    "journal_of",
    "left_behind",
    "metrics_of",
    "read",
    "save",
    "schema",
    "write",
]


def read(path: Path) -> pl.DataFrame:
    """The records at `path`; those of a killed evaluation come from its journal.

    Raises:
        DataError: if there are none, or the file is not a table of records.
    """
    path = Path(path)
    if not path.exists() and journal_of(path).exists():
        return _from_journal(journal_of(path))
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = "does not exist" if not path.exists() else f"is not Parquet ({' '.join(str(error).split())[:120]})"
        raise DataError(f"{path} {reason}; expected the records of an evaluation.") from None
    if lacking := {"target", "sample_id", "repeat", "error"} - set(frame.columns):
        raise DataError(f"{path} has no column {', '.join(sorted(lacking))}; expected the records of an evaluation.")
    return frame


def counted(path: Path) -> int:
    """About how many records lie at `path`, or in its journal so far: lines that a crash tore count too."""
    try:
        if path.exists():
            return int(pl.scan_parquet(path).select(pl.len()).collect().item())
        with journal_of(path).open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except (OSError, pl.exceptions.PolarsError):
        return 0


def _from_journal(path: Path) -> pl.DataFrame:
    whole = list(rows(path))
    columns = schema(metrics_of(whole[0] if whole else ()))
    lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in whole)
    return pl.read_ndjson(lines, schema=columns) if whole else pl.DataFrame(schema=columns)
