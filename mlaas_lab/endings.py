"""How an entry ended, told from outside: a process that was killed cannot report its own out-of-memory."""

import resource
import signal
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mlaas_lab.errors import OutOfMemory, snake
from mlaas_lab.executors import LOST, STOPPED
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tasks import Task
from mlaas_lab.view.formats import size

ABORTED = ("memory allocation of", "bad_alloc", "Cannot allocate memory", "MemoryError")
"""What is left in the log of a process that aborted for want of memory: Rust, C++, C, Python."""

VMSTAT = Path("/proc/vmstat")


class Wish(Enum):
    """Who asked the entry to stop."""

    NOBODY = "nobody"
    USER = "user"
    """By a row in the store: the job is cancelled."""
    SYSTEM = "system"
    """By a signal to the supervisor: the machine is wanted for something else."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The last state of an attempt."""

    state: JobState
    why: str | None = None
    out_of_memory: bool = False


class MemoryWatch:
    """Whether the system has killed something for want of memory since this was made."""

    def __init__(self) -> None:
        """Count from now."""
        self._before = _kills()

    @property
    def killed(self) -> bool:
        """The kernel's counter has moved; never where it has none."""
        return _kills() > self._before

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory of a child that has ended."""
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def ending(code: int, *, wish: Wish, folder: JobFolder, task: Task, memory: MemoryWatch) -> Ending:
    """What exit status `code` of an entry means."""
    if code == 0 and not (wish is not Wish.NOBODY and task.service):
        return Ending(state=JobState.SUCCEEDED)
    if wish is Wish.USER:
        return Ending(state=JobState.CANCELLED, why="stopped when asked to")
    error = read_json(folder.path / "error.json") or {}
    if wish is Wish.SYSTEM or code in (STOPPED, LOST):
        return _interrupted(code, task, error.get("message"))
    starved = _out_of_memory(code, folder, error.get("name"), memory)
    if starved is not None:
        detail = f"out of memory: {starved}; at its peak it had {size(memory.peak_bytes)}"
        return Ending(state=JobState.FAILED, why=detail, out_of_memory=True)
    return Ending(state=JobState.FAILED, why=error.get("message") or _from_outside(code, folder))


def _interrupted(code: int, task: Task, said: str | None) -> Ending:
    if task.resumable:
        return Ending(state=JobState.PREEMPTED, why=said if code == LOST else "the system asked it to stop")
    if code == LOST:
        return Ending(state=JobState.FAILED, why=said)
    return Ending(state=JobState.CANCELLED, why="the system asked it to stop")


def _out_of_memory(code: int, folder: JobFolder, name: str | None, memory: MemoryWatch) -> str | None:
    """How it shows that memory ran out; None when it does not."""
    if name == snake(OutOfMemory.__name__):
        return str((read_json(folder.path / "error.json") or {})["message"])
    if code == -signal.SIGKILL and memory.killed:
        return "the system killed the entry"
    if code < 0 and any(sign in line for line in folder.tail(5) for sign in ABORTED):
        return "an allocation was refused"
    return None


def _from_outside(code: int, folder: JobFolder) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
        return f"the entry was killed by {name}{hint}"
    last = next((line for line in reversed(folder.tail()) if line.strip()), "no output")
    return f"the entry exited with {code}: {last.strip()}"


def _kills() -> int:
    """Processes that the kernel has killed for want of memory since boot: `oom_kill` in /proc/vmstat."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
