"""The one table everybody reads: a row per run, target, sample and repeat, with what it said, cost, took and scored.

While calls arrive, rows are appended as lines to a journal beside the file, so a killed evaluation loses less than a
second. At the end the journal becomes Parquet, and the journal goes. `read` takes what there is. Unknown is null,
never 0. Nothing here knows how a record came about or what a metric means.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import polars as pl

from mlaas_lab.errors import DataError
from mlaas_lab.schema import Completion, Record

COLUMNS: dict[str, tuple[Any, str]] = {
    "run_id": (pl.String, "id of the job that measured it; the MLflow run has it as tag `mlaas.job_id`"),
    "target": (pl.String, "what was asked, `provider/model?key=value` or an endpoint's name"),
    "target_index": (pl.Int32, "place of the target among those named, from 0"),
    "sample_id": (pl.String, "id of the dataset's row"),
    "sample_index": (pl.Int32, "place of the sample in the dataset, from 0"),
    "repeat": (pl.Int32, "which repeat of the same question, from 0"),
    "group": (pl.String, "group of the sample, null when it has none"),
    "messages": (pl.String, "the turns that were sent, as JSON `[{role, content}]`"),
    "reference": (pl.String, "the answer that was hoped for, null when there is none"),
    "output": (pl.String, "the text that came back, null when none did"),
    "finish_reason": (pl.String, "why the output ended, as the target says"),
    "model": (pl.String, "the model that says it answered"),
    "request_id": (pl.String, "the target's own id of the request"),
    "error": (pl.String, "class of the error in snake case, null when it was answered; `cancelled`: never asked"),
    "error_message": (pl.String, "the error in one line"),
    "started_at": (pl.Float64, "when the first attempt began, UTC seconds since 1970"),
    "ended_at": (pl.Float64, "when the last attempt ended, UTC seconds since 1970"),
    "latency_s": (pl.Float64, "seconds the answered attempt took; null without an answer"),
    "wall_s": (pl.Float64, "seconds from the first attempt to the end, retries and back-off included"),
    "ttft_s": (pl.Float64, "seconds to the first token of the answered attempt; null unless streamed"),
    "tokens_per_s": (pl.Float64, "output tokens a second after the first; null unless streamed and counted"),
    "attempts": (pl.Int32, "requests on the wire, retries included"),
    "timeline": (pl.String, "those requests, as JSON `[{started_at, …, ended_at, status, error}]`, UTC seconds"),
    "input_tokens": (pl.Int64, "tokens read, cached ones included; null when the target does not say"),
    "output_tokens": (pl.Int64, "tokens written, reasoning included; null when the target does not say"),
    "cached_tokens": (pl.Int64, "input tokens that came from the target's cache"),
    "cache_write_tokens": (pl.Int64, "input tokens written to the target's cache"),
    "reasoning_tokens": (pl.Int64, "output tokens that were thought, not said"),
    "cost_usd": (pl.Float64, "price of the call in dollars, a whole number of micro-dollars; null when unpriced"),
    "price_source": (pl.String, "where the price comes from"),
    "price_date": (pl.String, "the day the price was valid, YYYY-MM-DD"),
}
"""Column → its type, and its meaning with the unit."""

METRIC_COLUMNS: dict[str, tuple[Any, str]] = {
    "": (pl.Float64, "the score; null when there is none"),
    "_status": (pl.String, "`ok`, `refused`, `parse_error`, `timeout`, `judge_error` or `not_applicable`"),
    "_reason": (pl.String, "why there is no score, or what the metric adds"),
}
"""Ending → type and meaning of the three columns that every metric has, after the others."""

FLUSH_ROWS = 256
FLUSH_S = 0.5


def schema(metrics: Iterable[str] = ()) -> pl.Schema:
    """Types of all columns, those of `metrics` at the end."""
    own = {f"{metric}{ending}": kind for metric in metrics for ending, (kind, _) in METRIC_COLUMNS.items()}
    return pl.Schema({name: kind for name, (kind, _) in COLUMNS.items()} | own)


def metrics_of(columns: Iterable[str]) -> list[str]:
    """The metrics that a table with these columns has, in their order."""
    known = list(columns)
    return [name for name in known if f"{name}_status" in known and f"{name}_reason" in known]


def read(path: Path) -> pl.DataFrame:
    """The records at `path`; those of a killed evaluation come from its journal.

    Raises:
        DataError: if there are none, or the file is not a table of records.
    """
    path = Path(path)
    if not path.exists() and _journal(path).exists():
        return _from_journal(_journal(path))
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = "does not exist" if not path.exists() else f"is not Parquet ({' '.join(str(error).split())[:120]})"
        raise DataError(f"{path} {reason}; expected the records of an evaluation.") from None
    if lacking := {"target", "sample_id", "repeat", "error"} - set(frame.columns):
        raise DataError(f"{path} has no column {', '.join(sorted(lacking))}; expected the records of an evaluation.")
    return frame


def write(path: Path, records: Iterable[Record], *, metrics: Sequence[str] = (), run_id: str | None = None) -> Path:
    """All `records` as the Parquet file `path`, in their order."""
    with Writer(path, metrics=metrics, run_id=run_id) as writer:
        for record in records:
            writer.add(record)
    return path


def save(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` as `path`: whole or not at all.

    Raises:
        DataError: if that cannot be done: the disk is full, say.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        frame.write_parquet(beside, compression="zstd", compression_level=1, statistics=False)
        beside.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


class Writer:
    """Records on their way to disk: lines at once, Parquet at the end."""

    def __init__(self, path: Path, *, metrics: Sequence[str] = (), run_id: str | None = None) -> None:
        """`path` is the Parquet file to be; `metrics` are those every record may be scored by."""
        self.path = path
        self.rows = 0
        self._metrics = tuple(metrics)
        self._run_id = run_id
        self._targets: dict[str, int] = {}
        self._samples: dict[str, int] = {}
        self._lines: list[bytes] = []
        self._flushed_at = time.monotonic()
        _journal(path).unlink(missing_ok=True)
        self._file = _journal(path).open("ab")

    def order(self, *, targets: Sequence[str], samples: Sequence[str]) -> None:
        """Fix the order of targets and samples; by default the order in which they arrive."""
        self._targets = {name: i for i, name in enumerate(targets)}
        self._samples = {name: i for i, name in enumerate(samples)}

    def add(self, record: Record) -> None:
        """Keep one record; on disk within 256 rows or half a second of the next one."""
        row = _row(record, self._metrics)
        row["run_id"] = self._run_id
        row["target_index"] = self._targets.setdefault(record.target, len(self._targets))
        row["sample_index"] = self._samples.setdefault(record.sample_id, len(self._samples))
        self._lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.rows += 1
        if len(self._lines) >= FLUSH_ROWS or time.monotonic() - self._flushed_at > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Hand what was added to the operating system: it survives a kill of this process.

        Raises:
            DataError: if that cannot be done: the disk is full, say.
        """
        lines, self._lines = self._lines, []
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._flushed_at = time.monotonic()

    def frame(self) -> pl.DataFrame:
        """All that was added, by target, sample and repeat in the order named."""
        self.flush()
        found = _from_journal(_journal(self.path), schema(self._metrics))
        return found.sort("target_index", "sample_index", "repeat", maintain_order=True)

    def close(self, frame: pl.DataFrame | None = None) -> None:
        """Write the Parquet file, of `frame` if it was completed since, and remove the journal."""
        save(self.frame() if frame is None else frame, self.path)
        self._file.close()
        _journal(self.path).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file.closed or isinstance(error, DataError):
            return
        self.close()


def _unwritable(path: Path, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
    return DataError(f"{path} cannot be written: {reason}.", next="Make room, then run it again.")


def _journal(path: Path) -> Path:
    return path.with_suffix(".jsonl")


def _from_journal(path: Path, columns: pl.Schema | None = None) -> pl.DataFrame:
    """Rows of the whole lines; a kill can tear only the last one."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if columns is None:
        first = orjson.loads(whole.partition(b"\n")[0]) if whole else {}
        columns = schema(metrics_of(first))
    return pl.read_ndjson(whole, schema=columns) if whole else pl.DataFrame(schema=columns)


def _row(record: Record, metrics: Sequence[str]) -> dict[str, Any]:
    done = record.completion
    attempts = done.attempts if done else record.attempts
    cost = record.cost
    row: dict[str, Any] = {
        "target": record.target,
        "sample_id": record.sample_id,
        "repeat": record.repeat,
        "group": record.group,
        "messages": orjson.dumps(record.messages).decode(),
        "reference": record.reference,
        "error": record.error,
        "error_message": record.error_message,
        "attempts": len(attempts),
        "timeline": orjson.dumps(attempts).decode(),
        "cost_usd": None if cost.usd is None else float(cost.usd),
        "price_source": cost.source,
        "price_date": cost.date,
    }
    if attempts:
        row["started_at"], row["ended_at"] = attempts[0].started_at, attempts[-1].ended_at
        row["wall_s"] = attempts[-1].ended_at - attempts[0].started_at
    if done:
        _answer(row, done)
    # What is null need not be said: half of a line.
    row = {name: value for name, value in row.items() if value is not None}
    _scores(row, record, metrics)
    return row


def _answer(row: dict[str, Any], done: Completion) -> None:
    usage = done.usage
    row["output"] = done.text
    row["finish_reason"] = done.finish_reason
    row["model"] = done.model
    row["request_id"] = done.request_id
    row["latency_s"] = done.latency_s
    row["ttft_s"] = done.ttft_s
    row["tokens_per_s"] = done.tokens_per_s
    row["input_tokens"] = usage.input_tokens
    row["output_tokens"] = usage.output_tokens
    row["cached_tokens"] = usage.cached_tokens
    row["cache_write_tokens"] = usage.cache_write_tokens
    row["reasoning_tokens"] = usage.reasoning_tokens


def _scores(row: dict[str, Any], record: Record, metrics: Sequence[str]) -> None:
    scores: Mapping[str, Any] = record.scores
    for name in metrics:
        score = scores.get(name)
        row[name] = score.value if score else None
        row[f"{name}_status"] = score.status if score else "not_applicable"
        row[f"{name}_reason"] = score.reason if score else record.error
