"""A job as a user has it: what it is, where it stands, how to wait for it and to stop it."""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlaas_lab import registry, tracking
from mlaas_lab.errors import JobError
from mlaas_lab.processes import find
from mlaas_lab.schema import JSON, Job, JobState, Work
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.store.front import Kept
from mlaas_lab.tasks import Task
from mlaas_lab.view import Shown, View, endpoints
from mlaas_lab.view.job import COUNTED, card, line

if TYPE_CHECKING:
    from mlaas_lab.job_manager import JobManager

LOG_LINES = 12


class JobHandle(Shown):
    """One job: what it is, where it stands, and how to wait for it, also from another kernel."""

    def __init__(self, manager: "JobManager", job: Job) -> None:
        """Made by `JobManager`."""
        self.manager = manager
        self._job = job

    @property
    def id(self) -> str:
        """Its id in the store."""
        return self._job.id

    @property
    def job(self) -> Job:
        """Its row, read now: one that had ended may have been resumed."""
        self._job = self.manager.current(self._job.id)
        return self._job

    @property
    def state(self) -> JobState:
        """Where it stands now."""
        return self.job.state

    @property
    def folder(self) -> JobFolder:
        """Its files."""
        return JobFolder(self._job.folder)

    @property
    def outcome(self) -> dict[str, JSON]:
        """What its entry returned; of a service that runs, what it serves."""
        if self._job.ready and not self._job.state.ended:
            return {"endpoints": self.serving}
        return dict((read_json(self.folder.outcome) or {}).get("result", {}))

    @property
    def serving(self) -> list[dict[str, JSON]]:
        """The endpoints of a service that is alive, well or not; none of any other job."""
        return [] if self._job.state.ended else self.manager.endpoints_of(self._job.id)

    @property
    def asleep(self) -> bool:
        """Whether the front stopped it since nobody asked, when its row was last read."""
        job = self._job
        if job.state is not JobState.CANCELLED or not self.folder.models.exists():
            return False
        return Kept(self.manager.settings).sleepers().get(job.id) == job.attempt

    def wait(self, timeout: float | None = None, *, watch: Callable[["JobHandle"], None] | None = None) -> "JobHandle":
        """Wait until the job has ended, or a service answers; `watch` is called a few times a second.

        Raises:
            JobError: if it failed, with the tail of its log, or was cancelled.
            TimeoutError: after `timeout` seconds; the job goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.settled:
            if watch is not None:
                watch(self)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is {self._job.state} after {timeout} s; it goes on.")
            time.sleep(self.manager.settings.report_every_s)
        if watch is not None:
            watch(self)
        self.check()
        return self

    def wait_end(self, within_s: float) -> bool:
        """Wait until it has ended, failed or not; False if it has not within that time."""
        deadline = time.monotonic() + within_s
        while not self.state.ended and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.state.ended

    @property
    def settled(self) -> bool:
        """Nothing is left to wait for."""
        return self.job.state.ended or self._job.ready

    def check(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            JobError: if the job failed, with its last log lines and the next command, or was cancelled.
        """
        if self.state is JobState.CANCELLED:
            raise JobError(
                f"job {self.id} ({self._job.task}) was cancelled.", next=f"It goes on with: resume {self.id}"
            )
        if self.state is JobState.FAILED:
            said = self._job.error or ""
            # The last line of its log is the error once more.
            lines = [line for line in self.folder.tail(LOG_LINES) if not (said and line.endswith(said))]
            tail = "\n".join(f"  | {line}" for line in lines)
            message = f"job {self.id} ({self._job.task}) failed: {self._job.error}"
            raise JobError(message + (f"\n{tail}\n" if tail else ""), next=f"All of it: logs {self.id}")

    def result(self, timeout: float | None = None) -> dict[str, JSON]:
        """Wait, then what the job returned."""
        return self.wait(timeout).outcome

    def cancel(self) -> "JobHandle":
        """Ask the job to stop; it keeps what is worth keeping."""
        return self.manager.cancel(self.id)

    def resume(self) -> "JobHandle":
        """Go on where it was, in a new attempt; a job that is alive or succeeded stays as it is.

        Raises:
            UsageError: if its files are gone.
        """
        self.manager.resume(self.id)
        return self

    def simulate_preemption(self) -> "JobHandle":
        """Take the machine away from the running job as a cluster would: SIGTERM to its supervisor.

        The job keeps what is worth keeping and is then `preempted`; whoever looks at it next has it go on.

        Raises:
            JobError: if it does not run on this machine.
        """
        handle = self.job.handle
        if (process := find(handle)) is None or self._job.state is not JobState.RUNNING:
            raise JobError(f"job {self.id} is {self._job.state} and cannot be preempted.")
        process.terminate()
        while find(handle) is not None:
            time.sleep(0.05)
        self._job = self.manager.store.job(self.id)
        return self

    def logs(self, lines: int = 50) -> list[str]:
        """The last lines it wrote."""
        return self.folder.tail(lines)

    def __await__(self) -> Generator[Any, None, "JobHandle"]:
        return asyncio.to_thread(self.wait).__await__()

    @property
    def warning(self) -> str | None:
        """What is not as it should be although the job ended: MLflow lacks some of it."""
        return tracking.warning(self._job)

    @property
    def exit_code(self) -> int:
        """1 while there is a warning: a script must notice."""
        return int(self.warning is not None)

    def view(self) -> View:
        """A card: state, progress, and the results its task draws."""
        job = self.job
        task: Task = registry.load("task", job.task)
        drawn = registry.resolve(task.view)(self.folder) if task.view else []
        log = self.folder.tail(LOG_LINES) if job.state is JobState.FAILED else []
        serves = [endpoints.view(serving, self._asked_elsewhere(serving))] if (serving := self.serving) else []
        waiting = tracking.waits(job, most=COUNTED)
        return card(job, results=[*serves, *drawn], log=log, waiting=waiting, asleep=self.asleep)

    def _asked_elsewhere(self, serving: Sequence[Mapping[str, JSON]]) -> list[endpoints.Asked]:
        from mlaas_lab import hosted  # a kernel that comes back reads no price lists

        work = next((Work(**one["work"]) for one in serving if one["work"]), None)
        return hosted.asked(self.manager.store, self.manager.settings, work)

    def line(self) -> str:
        """Where it stands, for a terminal that waits."""
        return line(self.job)

    def as_json(self) -> JSON:
        """`{job_id, state, run_id, undelivered}` and what the job returned."""
        failed = {"error": job.error} if (job := self.job).error else {}
        known = {"state": str(job.state), "run_id": job.run_id, "undelivered": tracking.waits(job)}
        return {"job_id": job.id, **known, **failed, **self.outcome}
