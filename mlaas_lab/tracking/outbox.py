"""What a job has left to send: its events.jsonl is the outbox, its delivered.json says how far it was sent.

A line keeps its time, so a metric that is sent twice is the same metric to MLflow, which swallows exact repeats: after
a crash one sends again from the last known offset, and nothing is lost or doubled. No mlflow here: a job table may ask
how much is left.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from mlaas_lab.durable import settle as flush
from mlaas_lab.schema import JSON
from mlaas_lab.store.beside import decisions_of
from mlaas_lab.store.folder import JobFolder, read_json, write_json

TRACES = "traces"
"""The part of an evaluation's end that follows when its run is closed."""
LOCK = ".delivery.lock"
"""In a job's folder, held by whoever delivers it."""


@dataclass(frozen=True, kw_only=True)
class Parked:
    """Something MLflow refused for good. It stays in the job's folder and is never tried again by itself."""

    what: str
    reason: str
    offset: int | None = None
    """Where its line ends in events.jsonl; None for a part of the job's end."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """How far the delivery of a job has come."""

    run_id: str | None = None
    experiment_id: str | None = None
    attempt: int = 0
    """The attempt that was begun; a newer one opens the run again."""
    offset: int = 0
    """Bytes of events.jsonl that need not be sent again."""
    sent: int = 0
    """Metrics delivered so far; what a crash made us repeat counts once."""
    last_step: int = 0
    parked: tuple[Parked, ...] = ()
    refused: str | None = None
    """Why the run as a whole takes nothing any more: somebody deleted it. Only `sync` asks again."""
    ended_at: float | None = None
    final_at: float | None = None
    """The time of the final metrics. It outlives the attempt: one whose end was sent, but not noted, ends again."""
    final_of: str = ""
    """Digest of those metrics: an attempt that ends with others ends later, and MLflow shows the later ones."""
    done: tuple[str, ...] = ()
    """Parts of the job's end that have been sent."""
    children: dict[str, str] = field(default_factory=dict)
    """Place of a target → id of its run, of an evaluation."""
    not_finite: dict[str, int] = field(default_factory=dict)
    """Metrics that were not finite, each with the first such step."""
    finished: bool = False
    """Nothing more will come of this attempt."""
    decided: int = 0
    """Bytes of the log of decisions that the run has."""

    @property
    def refusals(self) -> str:
        """What MLflow refused, each with its reason."""
        return "; ".join(f"{one.what}: {one.reason}" for one in self.parked)

    @classmethod
    def read(cls, folder: JobFolder) -> Self:
        """As it was last written; all fresh if it never was, or if the disk damaged it: repeats do no harm."""
        try:
            kept = read_json(folder.delivered) or {}
            parked = tuple(Parked(**one) for one in kept.pop("parked", ()))
            return cls(**{**kept, "done": tuple(kept.get("done", ())), "parked": parked})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def write(self, folder: JobFolder) -> None:
        """Keep it, also through a power failure."""
        write_json(folder.delivered, asdict(self))


@dataclass(frozen=True, slots=True)
class Point:
    """One metric at one step.

    Infinity becomes NaN, which MLflow keeps and draws as a gap: it has no infinity and would store 1.8e308 as if that
    had been measured. The run's tag `mlaas.not_finite` says where, and the line in the job's folder keeps the sign.
    """

    key: str
    value: float
    at_ms: int
    step: int
    end: int
    """Offset after its line."""
    finite: bool = True


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Whole lines, as many as make a request."""

    points: tuple[Point, ...]
    bad: tuple[Parked, ...]
    end: int
    """Offset after the last of them."""


def delivered(folder: JobFolder) -> Delivered:
    """How far the delivery of the job in `folder` has come."""
    return Delivered.read(folder)


def add(folder: JobFolder, values: Mapping[str, float]) -> None:
    """Leave metrics that became known after the job in `folder` ended; whoever delivers sends them like its own."""
    line = {"event": "metrics", "step": 0, "values": dict(values), "at": time.time()}
    with folder.events.open("a+b", buffering=0) as file:
        # What a crash cut stays one unreadable line. One write: two who add do not mix.
        file.seek(0, os.SEEK_END)
        cut = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
        file.write(b"\n" * cut + json.dumps(line).encode() + b"\n")


def size_of_decisions(folder: JobFolder) -> int:
    """Bytes of the log of decisions; 0 where nobody signed any."""
    try:
        return decisions_of(folder.records).stat().st_size
    except OSError:
        return 0


def settle(folder: JobFolder) -> None:
    """Have the lines so far on the disk, before MLflow is told of them.

    After a power failure a job takes again the steps whose lines are lost, and writes them with another time: to MLflow
    they are other metrics. And an offset that points beyond what is left would pass over the lines written there next.
    """
    flush(folder.events)
    flush(folder.path)


def undelivered(folder: JobFolder, *, most: int | None = None) -> int:
    """Metrics that wait in the outbox, and one more for an end or decisions that wait; past `most` nobody counts on."""
    state = Delivered.read(folder)
    waiting = int(folder.outcome.exists() and not state.finished) + int(size_of_decisions(folder) != state.decided)
    for batch in batches(folder, state.offset):
        waiting += len(batch.points)
        if most is not None and waiting > most:
            break
    return waiting


def forget(folder: JobFolder) -> None:
    """Start over: all is sent again, to a new run if the old one was deleted. The times of the end stay."""
    kept = Delivered.read(folder)
    Delivered(ended_at=kept.ended_at, final_at=kept.final_at, final_of=kept.final_of).write(folder)


def batches(folder: JobFolder, offset: int, *, size: int = 1000) -> Iterator[Batch]:
    """Lines after `offset` in batches of about `size` metrics; the last one may hold none."""
    points: list[Point] = []
    bad: list[Parked] = []
    end = offset
    for end, line in folder.events_from(offset):
        _take(line, end, points, bad)
        if len(points) >= size:
            yield Batch(points=tuple(points), bad=tuple(bad), end=end)
            points, bad = [], []
    if end > offset:
        yield Batch(points=tuple(points), bad=tuple(bad), end=end)


def point(key: str, value: JSON, *, at_s: float, step: int, end: int = 0) -> Point | str:
    """`value` as a metric, or why it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{key} = {str(value)[:50]!r} is not a number"
    number = float(value) if abs(value) < 1e308 or isinstance(value, float) else math.inf
    finite = math.isfinite(number)
    return Point(key, number if finite else math.nan, round(at_s * 1000), step, end, finite)


def _take(line: JSON, end: int, points: list[Point], bad: list[Parked]) -> None:
    if line["event"] == "unreadable":
        bad.append(Parked(what="line", reason="the line cannot be read: it was cut while it was written", offset=end))
    if line["event"] != "metrics":
        return
    for key, value in line["values"].items():
        if value is None:
            continue
        made = point(key, value, at_s=line["at"], step=line["step"], end=end)
        if isinstance(made, Point):
            points.append(made)
        else:
            bad.append(Parked(what=key, reason=made, offset=end))
