"""Processes of this machine by a name that stays theirs, and the killing of whole trees.

A process is its pid and when it was born, counted in ticks since boot where the system tells: a clock that is set
back or forth changes neither, and a recycled pid is never taken for ours. A zombie counts as dead. Whatever a job
starts inherits the mark of its attempt, so that what forked away twice and lost its parent is found too.
"""

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from mlaas_lab.schema import JSON

MARK = "MLAAS_JOB"
"""Variable with `JOB_ID.ATTEMPT`, inherited by everything that a job starts."""
SUPERVISOR = "MLAAS_SUPERVISOR"
"""Variable with the pid of the supervisor that an entry must not outlive."""
ASKED_S = 6.0
"""How long a process that is asked to end may take; a server's watcher needs the most."""
GONE_S = 5.0
"""How long a killed process may take to go."""
SLACK_S = 0.01
"""psutil derives the start time from clock ticks of 1/100 s."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""linux/prctl.h"""


def identity(pid: int) -> dict[str, JSON]:
    """What names a process for good, also for another program on another day.

    Raises:
        psutil.NoSuchProcess: if there is none.
    """
    return {
        "pid": pid,
        "started": psutil.Process(pid).create_time(),
        "birth": _birth(pid),
        "host": platform.node(),
    }


def elsewhere(handle: Mapping[str, JSON]) -> bool:
    """Whether the process of `handle` belongs to another machine, of which nothing can be seen from here."""
    return str(handle.get("host", platform.node())) != platform.node()


def find(handle: Mapping[str, JSON]) -> psutil.Process | None:
    """The process of `handle`; None when it is gone, a zombie, elsewhere, or another one with its pid."""
    if "pid" not in handle or elsewhere(handle):
        return None
    try:
        process = psutil.Process(handle["pid"])
        return process if _same(process, handle) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL `process` and its descendants, children first seen included."""
    family = [process]
    try:
        family += process.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    kill(family)


def kill(family: list[psutil.Process]) -> None:
    """SIGKILL all of `family`, and wait until they are gone."""
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    wait_gone(family, within_s=GONE_S)


def wait_gone(family: list[psutil.Process], within_s: float) -> None:
    """Return when none of `family` runs; a zombie does not."""
    deadline = time.monotonic() + within_s
    while any(_runs(member) for member in family) and time.monotonic() < deadline:
        time.sleep(0.01)


def sweep(job_id: str) -> int:
    """End whatever carries the mark of `job_id`, this process and its parents excepted; how many there were.

    They are asked first: one of them may have to tidy up after others that were killed.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = [process for process in _marked(job_id) if process.pid not in ours]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    wait_gone(left, within_s=ASKED_S)
    kill([process for process in left if _runs(process)])
    return len(left)


def adopt_orphans() -> None:
    """Become the parent of whatever a child leaves behind, so that it can be killed too; Linux only."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(supervisor: int) -> None:
    """Have the system kill this process when its supervisor is gone; Linux only, elsewhere the next look sweeps."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform == "linux" and os.getppid() != supervisor:
        # It died before the line above took effect.
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _same(process: psutil.Process, handle: Mapping[str, JSON]) -> bool:
    known, born = handle.get("birth"), _birth(process.pid)
    if known is not None and born is not None:
        return bool(known == born)
    return bool(abs(process.create_time() - handle["started"]) <= SLACK_S)


def _birth(pid: int) -> str | None:
    """Id of the boot and ticks since it (proc(5), field 22 of stat); None where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return f"{boot}/{fields[19]}"


def _marked(job_id: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").partition(".")[0] == job_id:
                yield process
        except psutil.Error:
            # Another user's, or gone.
            continue


def _runs(process: psutil.Process) -> bool:
    # Not psutil's own waiting: it would reap a child whose exit status its Popen still wants.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
