"""A detached process on this machine: it outlives the kernel that started it."""

import os
import subprocess
import sys
from collections.abc import Mapping

import psutil

from mlaas_lab.environment import surroundings
from mlaas_lab.processes import MARK, SUPERVISOR, elsewhere, find, identity, kill_tree
from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder


class Child:
    """An entry that is a child of this process."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        """`child` was just started."""
        self._child = child
        self.handle = identity(child.pid)

    def poll(self) -> int | None:
        """Its exit status."""
        return self._child.poll()

    def stop(self) -> None:
        """SIGTERM."""
        self._child.terminate()

    def kill(self) -> None:
        """SIGKILL to it and its descendants."""
        kill_tree(psutil.Process(self._child.pid))
        self._child.wait()


class ProcessExecutor:
    """Starts the supervisor in a session of its own, with the log as its output; the entry is its child."""

    outlives = False

    def launch(self, folder: JobFolder, *, mark: str) -> dict[str, JSON]:
        """Start the supervisor."""
        with folder.log.open("ab") as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "mlaas_lab.worker", str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder.path,
                env=surroundings(PYTHONUNBUFFERED="1", **{MARK: mark}),
                start_new_session=True,
            )
        _launched.append(supervisor)
        return identity(supervisor.pid)

    def is_alive(self, handle: Mapping[str, JSON]) -> bool | None:
        """Whether that very process runs; None for one of another machine."""
        # Children of this kernel are polled so that they do not stay zombies.
        _launched[:] = [child for child in _launched if child.poll() is None]
        return None if elsewhere(handle) else find(handle) is not None

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Kill the supervisor, its entry and everything below them."""
        for part in (handle, handle.get("entry") or {}):
            process = find(part)
            if process is not None:
                kill_tree(process)

    def begin(self, folder: JobFolder, job: Mapping[str, JSON], environment: Mapping[str, str]) -> Child:
        """Start the entry as a child of this process, which it does not outlive."""
        mark = f"{job['id']}.{job['attempt']}"
        own = {"PYTHONUNBUFFERED": "1", MARK: mark, SUPERVISOR: str(os.getpid())}
        command = [sys.executable, "-m", "mlaas_lab.context", str(folder.path)]
        return Child(subprocess.Popen(command, env=surroundings(**own, **environment), stdin=subprocess.DEVNULL))

    def again(self, folder: JobFolder, entry: Mapping[str, JSON]) -> None:
        """Never: the entry dies with its supervisor."""
        del folder, entry


_launched: list[subprocess.Popen[bytes]] = []

executor = ProcessExecutor()
