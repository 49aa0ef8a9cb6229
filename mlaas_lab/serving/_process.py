"""A server process that does not outlive its owner: `python -m mlaas_lab.serving._process COMMAND…` watches it.

The watcher leads a session of its own and holds the end of a pipe that nobody writes to. When the owner closes the
pipe, or dies by whatever signal, the pipe ends, and the watcher stops the server and all that it started. Dies the
watcher, the owner does it. What the server keeps in files for a while, sockets too, goes to a folder of its own, which
goes with it. It knows nothing of models.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from mlaas_lab.processes import kill, wait_gone

SEGMENT = re.compile(r"/dev/shm/(?:psm_[0-9a-f]+|sem\.mp-\w+)$", re.MULTILINE)  # noqa: S108 - Python names it so
"""Memory and semaphores that Python's processes share, as /proc names them (Linux); they outlive whoever is killed."""
TRACKER = "multiprocessing.resource_tracker"
"""A process of Python's that ends after those it serves, and frees what they left."""
GRACE_S = 4.0
"""Between asking a server to stop and killing it; less than what the supervisor gives the entry."""
POLL_S = 0.2


class Server:
    """A server and its watcher."""

    def __init__(self, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        """Start `command` in `folder`; what it prints goes to the end of `log`."""
        self._log = log
        self._files = tempfile.mkdtemp(prefix="mlaas-")  # short: a socket's path may have 100 letters
        with log.open("ab") as output:
            self._log_from = output.tell()
            self._watcher = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, self._files, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**environment, "TMPDIR": self._files},
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._watcher.poll()

    def printed(self, *, limit_bytes: int = 16_000) -> str:
        """What it printed, from the start on or the last `limit_bytes` of it."""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_from, end - limit_bytes))
            return log.read().decode(errors="replace")

    def stop(self) -> None:
        """Stop the server and all that it started; returns when nothing is left."""
        shared = _segments(_session(self._watcher.pid))
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        try:
            self._watcher.wait(GRACE_S + 1)
        except subprocess.TimeoutExpired:
            self._watcher.kill()
            self._watcher.wait()
        _kill(_session(self._watcher.pid))
        _give_back(shared)
        shutil.rmtree(self._files, ignore_errors=True)


def watch(files: str, command: Sequence[str]) -> int:
    """Run `command` until it ends or its owner is gone, then remove the folder `files`.

    Returns:
        Its exit status, or 128 + the signal that ended it.
    """
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    family: list[psutil.Process] = []
    while server.poll() is None and not asked and not _ended(sys.stdin.fileno()):
        pass
    shared = _segments(_session(os.getpid()))
    try:
        family = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait(GRACE_S)
    except (psutil.NoSuchProcess, subprocess.TimeoutExpired):
        server.kill()
    _kill([*family, *(process for process in _session(os.getpid()) if process.pid != os.getpid())])
    code = server.wait()
    _give_back(shared)
    shutil.rmtree(files, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _ended(pipe: int) -> bool:
    readable, _, _ = select.select([pipe], [], [], POLL_S)
    return bool(readable) and os.read(pipe, 1) == b""


def _session(leader: int) -> list[psutil.Process]:
    """Processes of the session that `leader` started; a child whose parent died still belongs to it."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return found


def _kill(processes: Sequence[psutil.Process]) -> None:
    shared = _segments(processes)
    trackers = [process for process in processes if _is_tracker(process)]
    kill([process for process in processes if process not in trackers])
    wait_gone(trackers, within_s=1)
    kill(trackers)
    _give_back(shared)


def _is_tracker(process: psutil.Process) -> bool:
    try:
        return any(TRACKER in word for word in process.cmdline())
    except psutil.Error:
        return False


def _segments(processes: Sequence[psutil.Process]) -> set[Path]:
    """The memory that they share with each other."""
    found = set[Path]()
    for process in processes:
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        except OSError:  # it is gone, or this is no Linux
            continue
        found.update(map(Path, SEGMENT.findall(maps)))
    return found


def _give_back(shared: set[Path]) -> None:
    """Have that memory freed; whoever still uses some of it keeps it."""
    for segment in shared:
        with suppress(OSError):  # it is gone, or another user's
            segment.unlink()


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1], sys.argv[2:]))
