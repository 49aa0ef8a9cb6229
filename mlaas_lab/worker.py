"""The supervisor of one job: `python -m mlaas_lab.worker JOB_DIR`.

It waits for what the job needs, begins the entry through the executor, reads the lines the entry writes, polls the
cancel row, kills the whole tree, says how it ended, sends metrics to MLflow from a thread, and alone writes the store.
It imports neither torch nor, before the thread needs it, mlflow.
"""

import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from types import FrameType

from mlaas_lab import context, registry
from mlaas_lab.endings import Ending, MemoryWatch, Wish, ending
from mlaas_lab.environment import silence
from mlaas_lab.errors import LabError, StoreError, one_line
from mlaas_lab.executors import Executor, Running
from mlaas_lab.ledger.hours import Hours
from mlaas_lab.processes import adopt_orphans, identity, sweep
from mlaas_lab.schema import JSON, Endpoint, EndpointState, Job, JobState, Progress, Work
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.store.patience import patient
from mlaas_lab.tasks import Task
from mlaas_lab.tracking.sender import Sender
from mlaas_lab.turn import Turn

POLL_S = 0.1
TURN_S = 0.5
"""How often a job that waits asks for its turn; each time writes to the store that all share."""
BEAT_S = 2.0
GRACE_S = 8.0
"""Between asking the entry to stop and killing it."""
DELIVER_S = 30.0
"""How long the end of a job waits for MLflow; what is left stays in the outbox."""
LINGER_S = 60.0
"""How long the supervisor of a job that has ended stays for what only illustrates its results."""


class Supervisor:
    """Takes one job from queued to its end; after it ran out of memory, through a second attempt."""

    def __init__(self, folder: JobFolder) -> None:
        """Read what the job is."""
        self.folder = folder
        self.job: dict[str, JSON] = read_json(folder.job)
        self.id: str = self.job["id"]
        self.settings = Settings.model_validate(self.job["settings"])
        self.task: Task = registry.load("task", self.job["task"])
        self.executor: Executor = registry.load("executor", self.job["executor"])
        self.stopping = False
        self.store = patient(
            Store(self.settings.store_path), told=lambda error: _say(str(error)), given_up=lambda: self.stopping
        )
        self.running: Running | None = None
        self.hours = Hours(self.settings, self.job)
        self._read_to = folder.events.stat().st_size if folder.events.exists() else 0
        self._sender: Sender | None = None
        self._run_id: str | None = None
        self._beat, self._beat_at = 0, 0.0

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return int(self.job["attempt"])

    def take(self) -> Job:
        """Be the supervisor of this attempt, which nobody else is."""
        job = self.store.take(self.id, attempt=self.attempt, handle=identity(os.getpid()))
        self._beat = job.beat
        return job

    def run(self) -> JobState:
        """Supervise until the job has ended, or somebody else must go on."""
        job, running = self.take(), None
        if job.state is JobState.RUNNING:
            running = self.executor.again(self.folder, job.handle["entry"])
            self._start_sending()
        while True:
            if running is None:
                environment = self.queue()
                if environment is None:
                    return self.store.job(self.id).state
                running = self.begin(environment)
            end, running = self.supervise(running), None
            self.deliver(end.state)
            if not (end.out_of_memory and self.try_smaller(end)):
                self.end(end)
                self.linger()
                return end.state

    def queue(self) -> dict[str, str] | None:
        """Wait for the job's turn: variables for its entry; None if it was cancelled, or can never have it."""
        if self.executor.outlives:
            # It runs on a cluster, which shares out its own machines.
            return {}
        turn = Turn(self.job, self.task, self.settings, self.store)
        if turn.never is not None:
            self.store.move(self.id, JobState.FAILED, attempt=self.attempt, why=f"{turn.never}.")
            return None
        while (leases := turn.ask()) is None:
            if self._given_up():
                return None
            self.beat()
            time.sleep(TURN_S)
        return turn.devices(leases)

    def begin(self, environment: dict[str, str]) -> Running:
        """Say that the job runs, start sending, and begin the entry; nothing of an older attempt is left by then."""
        sweep(self.id)
        for left in (self.folder.outcome, self.folder.path / "error.json"):
            left.unlink(missing_ok=True)
        mine = identity(os.getpid())
        self.store.move(self.id, JobState.RUNNING, attempt=self.attempt, handle=mine)
        self._start_sending()
        self.running = self.executor.begin(self.folder, self.job, environment)
        devices = [one for one in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        self.hours.begin(None if self.executor.outlives else len(devices))
        self.store.update(self.id, attempt=self.attempt, handle={**mine, "entry": dict(self.running.handle)})
        return self.running

    def supervise(self, running: Running) -> Ending:
        """Watch the entry until it ended; kill it when it was asked to stop and does not."""
        memory, wish, asked_at = MemoryWatch(), Wish.NOBODY, 0.0
        while (code := running.poll()) is None:
            self.read_lines()
            self.hours.go_on()
            self.beat()
            if wish is Wish.NOBODY and (wish := self._wish()) is not Wish.NOBODY:
                asked_at = time.monotonic()
                running.stop()
            if wish is not Wish.NOBODY and time.monotonic() - asked_at > GRACE_S:
                running.kill()
            time.sleep(POLL_S)
        sweep(self.id)
        self.hours.end()
        self.running = None
        return ending(code, wish=wish, folder=self.folder, task=self.task, memory=memory)

    def deliver(self, state: JobState) -> None:
        """Bring home what the entry wrote last, and send what there is."""
        self.read_lines()
        if self._sender is not None:
            self._sender.finish(state, within_s=DELIVER_S)
            self._note_run()

    def end(self, end: Ending) -> None:
        """Write how the job ended."""
        self.store.move(self.id, end.state, attempt=self.attempt, why=end.why)
        if end.state is JobState.SUCCEEDED:
            # Several times the adapter's size, and nothing goes on from them once the store says that it succeeded.
            shutil.rmtree(self.folder.checkpoints, ignore_errors=True)

    def linger(self) -> None:
        """Let what illustrates the results reach MLflow, now that nobody waits."""
        if self._sender is not None:
            self._sender.linger(LINGER_S)

    def try_smaller(self, end: Ending) -> bool:
        """Go on with options that need less memory, once; whether there are any."""
        change = None if "adjusted" in self.job else self.task.smaller(self.task.spec.model_validate(self.job["spec"]))
        if change is None:
            return False
        spec, why = {**self.job["spec"], **change}, str(end.why)
        said = ", ".join(f"--{key.replace('_', '-')} {value}" for key, value in change.items())
        then = f"again with {said}"
        following = self.store.restart(self.id, attempt=self.attempt, why=why, then=then, spec=spec)
        self.job = {**self.job, "attempt": following.attempt, "spec": spec, "adjusted": {**change, "why": why}}
        write_json(self.folder.job, self.job)
        _say(f"{why}. Going on with {said}.")
        return True

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
                    self.store.announce(Endpoint.read({**place, "job_id": self.id}), attempt=self.attempt)
                case "health":
                    self._note_health(EndpointState(line["state"]), line["names"])
                case "work":
                    work = replace(Work(**line["work"]), **self.hours.price)
                    self.store.note_work(self.id, work, attempt=self.attempt)
                case "ready":
                    self.store.update(self.id, attempt=self.attempt, ready=1)
        if progress is not None:
            self.store.update(self.id, attempt=self.attempt, progress=progress)
        self._note_run()

    def beat(self) -> None:
        """Show that the supervisor lives, to those who cannot see its process."""
        if time.monotonic() - self._beat_at > BEAT_S:
            self._beat, self._beat_at = self._beat + 1, time.monotonic()
            self.store.update(self.id, attempt=self.attempt, beat=self._beat)

    def _start_sending(self) -> None:
        if self.task.tracked:
            self._sender = Sender(self.folder, self.settings)
            self._sender.start()

    def _wish(self) -> Wish:
        if self.store.job(self.id).cancel_requested:
            return Wish.USER
        return Wish.SYSTEM if self.stopping else Wish.NOBODY

    def _given_up(self) -> bool:
        """Whether somebody wants the waiting to end; a job that the system stopped waits on under the next one."""
        match self._wish():
            case Wish.USER:
                why = "cancelled before it started"
                self.store.move(self.id, JobState.CANCELLED, attempt=self.attempt, why=why)
                return True
            case Wish.SYSTEM:
                self.store.update(self.id, attempt=self.attempt, handle={})
                return True
            case Wish.NOBODY:
                return False

    def _note_health(self, state: EndpointState, names: list[str]) -> None:
        self.store.tell(self.id, names, state, attempt=self.attempt)
        self.hours.busy = state is EndpointState.BUSY
        if state is not EndpointState.STOPPED:  # one of them is gone, and says nothing of the others
            self.store.update(self.id, attempt=self.attempt, ready=int(state.answers))

    def _note_run(self) -> None:
        if self._sender is not None and self._sender.run_id != self._run_id:
            self._run_id = self._sender.run_id
            self.store.update(self.id, attempt=self.attempt, run_id=self._run_id)


def main(path: str, *, inline: bool = False) -> int:
    """Run the job in folder `path` to its end; 0 unless it failed."""
    silence()
    supervisor = Supervisor(JobFolder(path))
    if inline:
        return _inline(supervisor, path)
    adopt_orphans()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    try:
        state = supervisor.run()
    except StoreError as error:
        # A newer attempt has taken over, or the store is gone: nothing of ours may go on.
        sys.stderr.write(f"{type(error).__name__}: {one_line(error)}\n")
        if supervisor.running is not None:
            supervisor.running.kill()
        return 1
    except LabError as error:
        # The executor could not begin.
        supervisor.deliver(JobState.FAILED)
        supervisor.end(Ending(state=JobState.FAILED, why=one_line(error)))
        return 1
    return 0 if state is not JobState.FAILED else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this process writes the job's log


def _inline(supervisor: Supervisor, path: str) -> int:
    supervisor.take()
    supervisor.store.move(supervisor.id, JobState.RUNNING, attempt=supervisor.attempt)
    supervisor._start_sending()  # noqa: SLF001 - the same module
    memory = MemoryWatch()
    try:
        code = context.main(path, inline=True)
    except BaseException as error:
        supervisor.deliver(JobState.FAILED)
        supervisor.end(Ending(state=JobState.FAILED, why=one_line(error)))
        raise
    end = ending(code, wish=Wish.NOBODY, folder=supervisor.folder, task=supervisor.task, memory=memory)
    supervisor.deliver(end.state)
    supervisor.end(end)
    supervisor.linger()
    return code


if __name__ == "__main__":
    inline = "--inline" in sys.argv
    code = main(sys.argv[1], inline=inline)
    if not inline:
        sys.exit(code)
