"""A detached process on this machine: it outlives the kernel that started it.

A process is its pid and its start time, so a recycled pid is never taken for ours; a zombie counts as dead.
"""

import subprocess
import sys
import time
from collections.abc import Mapping

import psutil

from mlaas_lab.schema import JSON
from mlaas_lab.settings import environment
from mlaas_lab.store.folder import JobFolder

GONE_S = 5.0
"""How long a killed process may take to go."""
SLACK_S = 0.01
"""psutil derives the start time from clock ticks of 1/100 s."""


class ProcessExecutor:
    """Starts the worker in a session of its own, with the log as its output."""

    def launch(self, folder: JobFolder) -> dict[str, JSON]:
        """Start the worker and return `{pid, started}`."""
        with folder.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "mlaas_lab.worker", str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder.path,
                env=environment(PYTHONUNBUFFERED="1"),
                start_new_session=True,
            )
        _launched.append(worker)
        return identity(worker.pid)

    def is_alive(self, handle: Mapping[str, JSON]) -> bool:
        """Whether a process with that pid and start time runs."""
        return find(handle) is not None

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Kill the worker, its entry and everything below them."""
        for part in (handle, handle.get("entry") or {}):
            process = find(part)
            if process is not None:
                kill_tree(process)


_launched: list[subprocess.Popen[bytes]] = []
"""Children of this kernel, polled so that they do not stay zombies."""


def identity(pid: int) -> dict[str, JSON]:
    """What names a process for good."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def find(handle: Mapping[str, JSON]) -> psutil.Process | None:
    """The process of `handle`, or None when it is gone, a zombie, or another one with its pid."""
    _launched[:] = [child for child in _launched if child.poll() is None]
    if "pid" not in handle:
        return None
    try:
        process = psutil.Process(handle["pid"])
        same = abs(process.create_time() - handle["started"]) <= SLACK_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL `process` and its descendants, children first seen included."""
    family = [process]
    try:
        family += process.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + GONE_S
    while any(_runs(member) for member in family) and time.monotonic() < deadline:
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    # Not psutil's own waiting: it would reap a child whose exit status its Popen still wants.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


executor = ProcessExecutor()
