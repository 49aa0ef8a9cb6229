"""The supervisor of one job: `python -m mlaas_lab.worker JOB_DIR`.

It starts the entry as its child, reads the lines the child writes, polls the cancel row, kills the whole tree, says
how it ended (a SIGKILLed child cannot report its own out-of-memory), sends metrics to MLflow from a thread, and alone
writes the store. It imports neither torch nor, before the thread needs it, mlflow.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

import psutil

from mlaas_lab import context, registry
from mlaas_lab.errors import StoreError, one_line
from mlaas_lab.executors.process import identity, kill_tree
from mlaas_lab.schema import JSON, Endpoint, JobState, Progress
from mlaas_lab.settings import Settings, environment, silence
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tasks import Task
from mlaas_lab.tracking.sender import Sender

POLL_S = 0.1
GRACE_S = 8.0
"""Between asking the entry to stop and killing it."""
DELIVER_S = 30.0
"""How long the end of a job waits for MLflow; what is left stays in the outbox."""
PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h"""


class Supervisor:
    """Takes one attempt of one job from queued to its end."""

    def __init__(self, folder: JobFolder) -> None:
        """Read what the job is."""
        job = read_json(folder.job)
        self.folder = folder
        self.id: str = job["id"]
        self.attempt: int = job["attempt"]
        self.settings = Settings.model_validate(job["settings"])
        self.task: Task = registry.load("task", job["task"])
        self.store = Store(self.settings.store_path)
        self.stopping = False
        self._read_to = folder.events.stat().st_size if folder.events.exists() else 0
        self._sender: Sender | None = None
        self._run_id: str | None = None

    def begin(self, handle: dict[str, JSON]) -> None:
        """Say that the job runs, and start sending."""
        self.store.move(self.id, JobState.RUNNING, attempt=self.attempt, handle=handle)
        if self.task.tracked:
            self._sender = Sender(self.folder, self.settings)
            self._sender.start()

    def supervise(self, entry: subprocess.Popen[bytes]) -> tuple[JobState, str | None]:
        """Watch the entry until it ended; kill it when it was asked to stop and does not."""
        asked_at: float | None = None
        while entry.poll() is None:
            self.read_lines()
            if asked_at is None and (self.stopping or self.store.job(self.id).cancel_requested):
                asked_at = time.monotonic()
                entry.terminate()
            if asked_at is not None and time.monotonic() - asked_at > GRACE_S:
                kill_tree(psutil.Process(entry.pid))
            time.sleep(POLL_S)
        self._sweep()
        return self._classify(entry.returncode, asked=asked_at is not None)

    def end(self, state: JobState, why: str | None) -> None:
        """Deliver what there is, then write the last state."""
        self.read_lines()
        if self._sender is not None:
            self._sender.finish(state, within_s=DELIVER_S)
            self._note_run()
        self.store.move(self.id, state, attempt=self.attempt, why=why)
        self.store.close()

    def read_lines(self) -> None:
        """Bring what the entry wrote since the last call into the store; of many progress lines only the newest."""
        progress: Progress | None = None
        for offset, line in self.folder.events_from(self._read_to):
            self._read_to = offset
            match line["event"]:
                case "progress":
                    progress = Progress(**{key: value for key, value in line.items() if key != "event"})
                case "endpoint":
                    place = {key: value for key, value in line.items() if key not in ("event", "at")}
                    self.store.announce(Endpoint(job_id=self.id, **place), attempt=self.attempt)
                case "ready":
                    self.store.update(self.id, attempt=self.attempt, ready=1)
        if progress is not None:
            self.store.update(self.id, attempt=self.attempt, progress=progress)
        self._note_run()

    def _note_run(self) -> None:
        if self._sender is not None and self._sender.run_id != self._run_id:
            self._run_id = self._sender.run_id
            self.store.update(self.id, attempt=self.attempt, run_id=self._run_id)

    def _classify(self, code: int, *, asked: bool) -> tuple[JobState, str | None]:
        error = read_json(self.folder.path / "error.json")
        if code == 0 and not (asked and self.task.service):
            return JobState.SUCCEEDED, None
        if asked or code == context.STOPPED:
            return JobState.CANCELLED, "stopped when asked to"
        if error is not None:
            return JobState.FAILED, error["message"]
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
            return JobState.FAILED, f"the entry was killed by {name}{hint}"
        last = next((line for line in reversed(self.folder.tail()) if line.strip()), "no output")
        return JobState.FAILED, f"the entry exited with {code}: {last.strip()}"

    def _sweep(self) -> None:
        for child in psutil.Process().children():
            kill_tree(child)


def main(path: str, *, inline: bool = False) -> int:
    """Run the job in folder `path` to its end; 0 unless it failed."""
    silence()
    folder = JobFolder(path)
    supervisor = Supervisor(folder)
    if inline:
        return _inline(supervisor, path)
    _adopt_orphans()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    entry = subprocess.Popen(
        [sys.executable, "-m", "mlaas_lab.context", path],
        env=environment(PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
    )
    try:
        supervisor.begin({**identity(os.getpid()), "entry": identity(entry.pid)})
        state, why = supervisor.supervise(entry)
        supervisor.end(state, why)
    except StoreError as error:
        # A newer attempt has taken over, or the store is gone: nothing of ours may go on.
        sys.stderr.write(f"{type(error).__name__}: {one_line(error)}\n")
        kill_tree(psutil.Process(entry.pid))
        return 1
    return 0 if state is not JobState.FAILED else 1


def _inline(supervisor: Supervisor, path: str) -> int:
    supervisor.begin({})
    try:
        code = context.main(path, inline=True)
    except BaseException as error:
        supervisor.end(JobState.FAILED, one_line(error))
        raise
    state, why = supervisor._classify(code, asked=False)  # noqa: SLF001 - the same module
    supervisor.end(state, why)
    return code


def _adopt_orphans() -> None:
    """Become the parent of whatever the entry leaves behind, so that it can be killed too; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    inline = "--inline" in sys.argv
    code = main(sys.argv[1], inline=inline)
    if not inline:
        sys.exit(code)
