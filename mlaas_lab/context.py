"""All that an entry knows of its job, and the process it runs in: `python -m mlaas_lab.context JOB_DIR`.

An entry writes lines and files, nothing else: no store, no MLflow, no executor. The supervisor reads the lines.
"""

import errno
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from mlaas_lab import registry, telemetry
from mlaas_lab.environment import silence
from mlaas_lab.errors import LabError, OutOfMemory, one_line, snake
from mlaas_lab.executors import STOPPED
from mlaas_lab.processes import SUPERVISOR, die_with
from mlaas_lab.schema import JSON, EndpointState, Work
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store.folder import JobFolder, read_json, write_json

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Data a run used, for MLflow's `log_input`."""

    name: str
    path: str
    sha256: str
    rows: int
    context: str
    """`train`, `validation` or `eval`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an entry hands back."""

    result: dict[str, JSON] = field(default_factory=dict)
    """What the command prints with `--json`, beside `job_id`, `state` and `run_id`."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Final numbers for the MLflow run; None is left out."""
    datasets: tuple[Dataset, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Files and folders to log, by absolute path."""
    adapter: dict[str, JSON] | None = None
    """`{name, path, sha256, base, params}` of LoRA weights, for a LoggedModel."""


class Stopped(Exception):
    """The job was asked to stop and has written what it wanted to keep."""


class Context:
    """The job, as its entry sees it."""

    def __init__(self, folder: JobFolder, settings: Settings, *, job_id: str, name: str, attempt: int = 1) -> None:
        """`folder` exists; lines are appended to its events file.

        A later attempt repeats steps that an earlier one took after its last checkpoint. They were measured already:
        what they log again is left out, so that every curve has each of its steps once.
        """
        self.folder = folder
        self.settings = settings
        self.job_id = job_id
        self.name = name
        self.attempt = attempt
        self.stopping = False
        """Somebody asked the job to stop: keep what is worth keeping and raise `Stopped`."""
        self._logged = _last_steps(folder) if attempt > 1 else {}
        self._events = folder.events.open("ab", buffering=0)
        if not _whole(folder.events):
            # The end of an earlier attempt cut a line: it stays one unreadable line, and ours begin on their own.
            self._events.write(b"\n")
        self._shown_at = 0.0
        self._rate: float | None = None
        self._last: tuple[str, int, float] = ("", 0, 0.0)

    def log(self, step: int, /, **metrics: float) -> None:
        """Metrics of one step; one line on disk, no network."""
        if self._logged:
            metrics = {key: value for key, value in metrics.items() if step > self._logged.get(key, -1)}
        if metrics:
            self._write({"event": "metrics", "step": step, "values": metrics})

    def settle(self) -> None:
        """Have all lines so far on the disk: before a checkpoint, after which their steps are not taken again."""
        os.fsync(self._events.fileno())

    def progress(
        self, n: int, total: int | None, *, unit: str = "steps", phase: str = "", **money: float | None
    ) -> None:
        """How far the job is; written at most ten times a second, always at the end.

        `money` is `spent_usd`, `cap_usd` and `n_unpriced` of a Progress. What stands after ` · ` in `phase` may change
        while it lasts.
        """
        now = time.monotonic()
        lasting = phase.partition(" · ")[0]
        if n != total and now - self._shown_at < 0.1 and lasting == self._last[0]:
            return
        self._shown_at = now
        self._rate = self._smoothed(n, lasting, now)
        known = {"n": n, "total": total, "unit": unit, "phase": phase, "rate": self._rate}
        self._write({"event": "progress", **known, **money})

    def steps(
        self, items: Iterable[Item], total: int | None, *, unit: str = "steps", phase: str = ""
    ) -> Iterator[Item]:
        """`items`, with progress before each.

        Raises:
            Stopped: before the next item, once somebody asked the job to stop.
        """
        n = 0
        for n, item in enumerate(items):
            self.check()
            self.progress(n, total, unit=unit, phase=phase)
            yield item
        self.progress(total if total is not None else n + 1, total, unit=unit, phase=phase)

    def check(self) -> None:
        """Raise `Stopped` if somebody asked the job to stop."""
        if self.stopping:
            raise Stopped

    def endpoint(self, *, name: str, base_url: str, model: str, engine: str, source: str, **more: JSON) -> None:
        """Announce a server of this job, first as starting, then as ready; `more` is `ready`, and its `parity`."""
        place = {"name": name, "base_url": base_url, "model": model, "engine": engine, "source": source}
        self._write({"event": "endpoint", **place, **more})

    def health(self, state: EndpointState, names: Sequence[str]) -> None:
        """Say how servers of this job are doing; seen by whoever asks for them."""
        self._write({"event": "health", "state": state, "names": list(names)})

    def work(self, work: Work) -> None:
        """Say what the server of this job does, as it was last seen."""
        self._write({"event": "work", "work": asdict(work)})

    def ready(self) -> None:
        """This service answers; whoever waits for it goes on."""
        self._write({"event": "ready"})

    def note(self, text: str) -> None:
        """A line for the log, in one piece: where others write to the same output, nothing comes between."""
        print(f"{text}\n", end="", flush=True)

    def _smoothed(self, n: int, phase: str, now: float) -> float | None:
        before_phase, before_n, before = self._last
        self._last = (phase, n, now)
        if phase != before_phase or n <= before_n or now <= before:
            return self._rate if phase == before_phase else None
        rate = (n - before_n) / (now - before)
        return rate if self._rate is None else 0.8 * self._rate + 0.2 * rate

    def _write(self, line: dict[str, Any]) -> None:
        """Append a whole line; on a full disk wait until there is room again, since a metric cannot be had twice."""
        left = json.dumps({"at": time.time(), **line}).encode() + b"\n"
        while left:
            try:
                left = left[self._events.write(left) :]
            except OSError as error:
                if error.errno not in FULL or self.stopping:
                    raise
                time.sleep(ROOM_EVERY_S)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ROOM_EVERY_S = 1.0
"""How often a full disk is tried again."""
STARVED = ("can't allocate memory", "out of memory", "not enough memory")
"""What an allocator's error says, whose class is only a RuntimeError."""


def main(path: str | JobFolder, *, inline: bool = False) -> int:
    """Run the entry of the job in folder `path`; 0 done, 1 failed, 3 stopped when asked to.

    With `inline` the process is somebody else's: signals stay as they are, and errors come out.
    """
    silence()
    folder = path if isinstance(path, JobFolder) else JobFolder(path)
    job = read_json(folder.job)
    settings = Settings.model_validate(job["settings"])
    if not inline:
        _use_threads(settings.threads)
    context = Context(folder, settings, job_id=job["id"], name=job["name"], attempt=job["attempt"])

    def stop(_signal: int, _frame: FrameType | None) -> None:
        context.stopping = True

    if not inline:
        signal.signal(signal.SIGTERM, stop)
    try:
        outcome = run(job["task"], job["spec"], context)
    except Stopped:
        return STOPPED
    except LabError as error:
        _failed(folder, error)
        if inline:
            raise
        print(f"{type(error).__name__}: {one_line(error)}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if _starved(error):
            _failed(folder, OutOfMemory(one_line(error)))
        raise
    write_json(folder.outcome, asdict(outcome))
    return 0


def run(task: str, spec: dict[str, JSON], context: Context) -> Outcome:
    """Call the entry of `task` with its Spec."""
    found = registry.load("task", task)
    options: Spec = found.spec.model_validate(spec)
    entry = registry.resolve(found.entry)
    # What is loaded now stays. No collection has to walk through it, 30 ms at a time, while answers are timed.
    gc.collect()
    gc.freeze()
    try:
        outcome: Outcome = entry(options, context)
    finally:
        if note := telemetry.flush():
            context.note(note)
    return outcome


def _failed(folder: JobFolder, error: LabError) -> None:
    write_json(folder.path / "error.json", {"name": snake(type(error).__name__), "message": str(error)})


def _starved(error: Exception) -> bool:
    """Whether memory ran out; torch is not imported to ask for its class."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(sign in str(error).lower() for sign in STARVED)


def _last_steps(folder: JobFolder) -> dict[str, int]:
    """The last step that each metric was logged at."""
    found: dict[str, int] = {}
    for _, line in folder.events_from():
        if line["event"] == "metrics":
            found |= {key: max(line["step"], found.get(key, -1)) for key in line["values"]}
    return found


def _whole(path: Path) -> bool:
    """Whether the file ends with a whole line."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _use_threads(n: int) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[name] = str(n)
    # Threads that spin while they wait make a job several times slower as soon as anything else wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if __name__ == "__main__":
    if supervisor := os.environ.get(SUPERVISOR):
        die_with(int(supervisor))
    sys.exit(main(sys.argv[1]))
