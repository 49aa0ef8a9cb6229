"""Tasks and scorers of other tools, in an interpreter of their own: heavy libraries never enter our process.

The other side is `PYTHON -I _runner.py SCRIPT`, spoken to in lines of JSON. It sees none of our keys, reaches no other
machine and dies with us. An answer that it cannot score in time is a timeout, one it dies of is a judge's error; the
answers after it are scored by the next process.
"""

import json
import math
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import psutil

from mlaas_lab.environment import keyless
from mlaas_lab.errors import MissingExtra
from mlaas_lab.processes import kill_tree
from mlaas_lab.schema import Sample, Score, ScoreStatus

HERE = Path(__file__).parent
START_S = 120.0
"""How long a library may take to load, and a task to be read."""
MOST_DEATHS = 3
"""In a row, of one evaluation's processes; what is left then has no score."""
TAIL = 300
"""Characters of what a process said last."""


class Died(RuntimeError):
    """The other side ended before it had answered."""


class Refused(ValueError):
    """The other side says why it cannot."""


class Bridge:
    """One process of the other side; a context."""

    def __init__(
        self,
        python: str,
        script: str,
        opening: Mapping[str, Any],
        *,
        folders: Sequence[str] = (),
        alone: bool = False,
        install: str = "",
    ) -> None:
        """Not started yet.

        Args:
            python: its interpreter; empty for ours.
            script: a file of this package.
            opening: what its task is made with.
            folders: where files may be opened, by default everywhere.
            alone: whether it reaches nobody on this machine either, and opens its interpreter's files only.
            install: the packages that its interpreter needs, as pip takes them, and what to do then.
        """
        self._words = [python or sys.executable, "-I", str(HERE / "_runner.py"), str(HERE / f"{script}.py")]
        self._opening: dict[str, Any] = {**opening, "folders": list(folders), "alone": alone}
        self._install = install
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Start it, and wait until its task is read.

        Raises:
            MissingExtra: if there is no such interpreter, or it lacks the library.
            Refused: if the task cannot be used.
            Died, TimeoutError: if it does not come up.
        """
        self._home = tempfile.TemporaryDirectory(prefix="mlaas-bridge-", ignore_cleanup_errors=True)
        self._said = Path(self._home.name, "stderr")
        if self._opening["alone"]:
            self._opening["folders"] = [*self._opening["folders"], self._home.name]
        own = dict.fromkeys(("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), self._home.name)
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                    env=keyless(**own),
                )
        except OSError as error:
            self._home.cleanup()
            raise MissingExtra(f"{self._words[0]} cannot be started: {error.strerror}.", next=self._need()) from None
        self._requests, self._replies = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._asked(self._opening, START_S)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def ask(self, call: str, limit_s: float = START_S, **words: Any) -> Any:
        """What the other side's `call` gives.

        Raises:
            Refused: for what it raises.
            TimeoutError: if it takes longer; then, as after Died, there is nothing more to ask.
            Died: if it ends instead.
        """
        return self._asked({"call": call, **words}, limit_s)

    def tell(self, request: Mapping[str, Any]) -> None:
        """Send a line.

        Raises:
            Died: if nobody reads it any more.
        """
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        except (OSError, ValueError):
            raise Died(self.last_words()) from None

    def hear(self, limit_s: float | None = None) -> Any:
        """The next line that it wrote, waited for.

        Raises:
            TimeoutError: if none comes.
            Died: if it ends instead.
        """
        try:
            line = self._lines.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError(f"no answer within {limit_s:g} s") from None
        if not line:
            raise Died(self.last_words())
        return json.loads(line)

    def close(self) -> None:
        """End it, and all it started."""
        if self._process.poll() is None:
            kill_tree(psutil.Process(self._process.pid))
        self._process.wait()
        with suppress(OSError):
            self._requests.close()
        self._home.cleanup()

    def _asked(self, request: Mapping[str, Any], limit_s: float) -> Any:
        self.tell(request)
        reply = self.hear(limit_s)
        if reply.get("failed") in ("ModuleNotFoundError", "ImportError"):
            raise MissingExtra(f"{self._words[0]}: {reply['message']}.", next=self._need())
        return outcome(reply)

    def _need(self) -> str:
        """What to do where it cannot be used."""
        if not self._install:
            return "Name an interpreter that has it."
        return f"In an environment of its own: pip install {self._install}"

    def _read(self) -> None:
        """Every line of the other side, and at its end an empty one."""
        with self._replies:
            for line in self._replies:
                self._lines.put(line)
        self._lines.put("")

    def last_words(self) -> str:
        """How it ended, and what it said before."""
        status = self._process.wait(5)
        try:
            said = " ".join(self._said.read_text(errors="replace").split())[-TAIL:]
        except OSError:
            said = ""  # who closed it took its home away
        return f"the process ended with status {status}: {said}" if said else f"the process ended with status {status}"


def outcome(reply: Mapping[str, Any]) -> Any:
    """What the other side says in `reply`.

    Raises:
        Refused: for what it raised.
    """
    if "failed" in reply:
        raise Refused(f"{reply['failed']}: {reply['message']}")
    return reply["said"]


def as_said(said: Mapping[str, Any]) -> Score:
    """What the other side's `score` gives, as a score; no value where that is no finite number."""
    if said["value"] is not None and not math.isfinite(said["value"]):
        return _failed(ScoreStatus.JUDGE_ERROR, f"the tool gives {said['value']}")
    return Score(value=said["value"], status=ScoreStatus(said["status"]), reason=said["reason"])


Show = Callable[[str, Sample], Mapping[str, Any]]
"""What the other side is shown of an answer and its sample."""


def of_task(output: str, sample: Sample) -> dict[str, Any]:
    """What a task needs that knows its samples."""
    return {"sample": sample.id, "output": output, "reference": sample.reference}


def scored(
    start: Callable[[], Bridge],
    outputs: Sequence[str],
    samples: Sequence[Sample],
    *,
    limit_s: float,
    show: Show = of_task,
) -> list[Score]:
    """What the other side says of each answer; a process that dies or hangs costs that one answer's score."""
    found: list[Score] = []
    live: Bridge | None = None
    deaths, reason = 0, ""
    try:
        for output, sample in zip(outputs, samples, strict=True):
            if deaths >= MOST_DEATHS:
                found.append(_failed(ScoreStatus.JUDGE_ERROR, reason))
                continue
            try:
                live = live or start().__enter__()
                said = live.ask("score", limit_s, **show(output, sample))
                found.append(as_said(said))
                deaths = 0
            except Refused as error:
                # One that does not come up would not for the next answer either.
                deaths, reason = deaths + (live is None), str(error)
                found.append(_failed(ScoreStatus.JUDGE_ERROR, reason))
            except (Died, TimeoutError) as error:
                status = ScoreStatus.TIMEOUT if isinstance(error, TimeoutError) else ScoreStatus.JUDGE_ERROR
                deaths, reason = deaths + 1, str(error)
                found.append(_failed(status, reason))
                if live:
                    live.close()
                live = None
    finally:
        if live:
            live.close()
    return found


def unfit(start: Callable[[], Bridge], samples: Sequence[Sample]) -> str:
    """Why the other side cannot judge answers to `samples`; empty if it can.

    Raises:
        MissingExtra: if there is no such interpreter, or it lacks the library.
    """
    try:
        with start() as bridge:
            known = {row["id"]: row["reference"] for row in bridge.ask("samples")}
    except (Refused, Died, TimeoutError) as error:
        return str(error)
    strange = [sample.id for sample in samples if known.get(sample.id) != (sample.reference or "")]
    return f"{len(strange)} of {len(samples)} are not of the task, the first is {strange[0]!r}" if strange else ""


def unready(start: Callable[[], Bridge]) -> str:
    """Why the other side does not come up; empty if it does.

    Raises:
        MissingExtra: if there is no such interpreter, or it lacks the library.
    """
    try:
        with start():
            return ""
    except (Refused, Died, TimeoutError) as error:
        return str(error)


def _failed(status: ScoreStatus, reason: str) -> Score:
    return Score(value=None, status=status, reason=reason)
