"""Records on their way to disk: each a line at once, all of them Parquet at the end."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import polars as pl

from mlaas_lab.durable import settle
from mlaas_lab.errors import DataError
from mlaas_lab.records.columns import COLUMNS, schema
from mlaas_lab.records.journal import Journal, rows
from mlaas_lab.records.row import row
from mlaas_lab.schema import Record


def write(path: Path, records: Iterable[Record], *, metrics: Sequence[str] = (), run_id: str | None = None) -> Path:
    """All `records` as the Parquet file `path`, in their order."""
    with Writer(path, metrics=metrics, run_id=run_id) as writer:
        for record in records:
            writer.add(record)
    return path


def save(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` as `path`: whole or not at all, also after a power failure.

    Raises:
        DataError: if that cannot be done: the disk is full, say.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        frame.write_parquet(beside, compression="zstd", compression_level=1, statistics=False)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        settle(path.parent)
    except (OSError, pl.exceptions.PolarsError) as error:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def journal_of(path: Path) -> Path:
    """The journal of the table `path`, beside it."""
    return path.with_suffix(".jsonl")


def left_behind(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows that an earlier attempt left for the table `path`, whether it was killed or stopped; null is left out.

    Raises:
        DataError: if there is a table, and it cannot be read.
    """
    if journal_of(path).exists():
        # Never less than the table, which is made of it: whoever was killed between the two left both.
        yield from rows(journal_of(path))
    elif path.exists():
        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{path} cannot be read: {' '.join(str(error).split())[:120]}.") from None
        for found in frame.iter_rows(named=True):
            yield {name: value for name, value in found.items() if value is not None or name not in COLUMNS}


class Writer:
    """One table of records while it grows; each record survives a kill of this process once `add` has returned."""

    def __init__(
        self,
        path: Path,
        *,
        metrics: Sequence[str] = (),
        run_id: str | None = None,
        kept: Iterable[Mapping[str, Any]] = (),
        until_decided: str | None = None,
    ) -> None:
        """Begin the table anew.

        Args:
            path: the Parquet file to be.
            metrics: those every record may be scored by.
            run_id: stands in every row.
            kept: rows of an earlier attempt to begin with, which may still be read from `path` and its journal.
            until_decided: stands in every row: the rule by which fewer samples may be asked than planned.

        Raises:
            DataError: if nothing can be written there.
        """
        self.path = path
        self.rows = 0
        self._metrics = tuple(metrics)
        self._run_id = run_id
        self._rule = {} if until_decided is None else {"until_decided": until_decided}
        self._targets: dict[str, int] = {}
        self._samples: dict[str, int] = {}
        try:
            self._journal = Journal(journal_of(path), self._lines(kept))
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error

    def order(self, *, targets: Sequence[str], samples: Sequence[str]) -> None:
        """Fix the order of targets and samples; by default the order in which they arrive."""
        self._targets = {name: i for i, name in enumerate(targets)}
        self._samples = {name: i for i, name in enumerate(samples)}

    def add(self, record: Record) -> None:
        """Keep one record: handed to the operating system before this returns.

        Raises:
            DataError: if that cannot be done: the disk is full, say.
        """
        found = row(record, self._metrics)
        found["run_id"] = self._run_id
        found.update(self._rule)
        found["target_index"] = self._targets.setdefault(record.target, len(self._targets))
        found["sample_index"] = self._samples.setdefault(record.sample_id, len(self._samples))
        try:
            self._journal.add(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.rows += 1

    def frame(self) -> pl.DataFrame:
        """All that was added, by target, sample and repeat in the order named."""
        columns = schema(self._metrics)
        if not self.rows:
            return pl.DataFrame(schema=columns)
        found = pl.read_ndjson(journal_of(self.path).read_bytes(), schema=columns)
        return found.sort("target_index", "sample_index", "repeat", maintain_order=True)

    def close(self, frame: pl.DataFrame | None = None) -> None:
        """Write the Parquet file, of `frame` if it was completed since, and remove the journal.

        Raises:
            DataError: if that cannot be done; then the journal stays.
        """
        try:
            save(self.frame() if frame is None else frame, self.path)
            journal_of(self.path).unlink()
        finally:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._journal.closed:
            return
        if isinstance(error, DataError):
            self._journal.close()
        else:
            self.close()

    def _lines(self, kept: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        for found in kept:
            self.rows += 1
            yield orjson.dumps({**found, **self._rule}, option=orjson.OPT_APPEND_NEWLINE)


def _unwritable(path: Path, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
    return DataError(f"{path} cannot be written: {reason}.", next="Make room, then run it again.")
