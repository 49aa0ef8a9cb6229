"""Decisions on their way to MLflow, and what is there already.

The log itself is the outbox: what was not sent is there, and `sync` sends it.
"""

from dataclasses import dataclass
from pathlib import Path

from mlaas_lab import registry, tracking
from mlaas_lab.errors import TrackingError, UsageError
from mlaas_lab.reviewing.held import Held
from mlaas_lab.schema import Job
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder

PATIENCE_S = 5.0
"""How long a request to MLflow may go unanswered: somebody waits."""


@dataclass(frozen=True)
class Sender:
    """Sends one log."""

    log: Path
    settings: Settings
    job: Job | None
    run_id: str | None

    def send(self) -> tuple[bool | None, str]:
        """Whether MLflow has all of it, and why not; None for what is no run of MLflow."""
        try:
            if self.job is not None:
                return self._of_job(self.job)
            if self.run_id is not None:
                tracking.send_decisions(self.log, self.run_id, self.settings, timeout_s=PATIENCE_S)
                return True, ""
        except (TrackingError, UsageError) as error:
            later = "`mlaas sync` sends it." if self.job is not None else "the next signature sends it too."
            return False, f"MLflow: {error} The decision waits; {later}"
        return None, ""

    def held(self) -> Held | None:
        """What MLflow has of the log; None for what is no run of MLflow."""
        run_id = self.run_id if self.job is None else tracking.delivered(JobFolder(self.job.folder)).run_id
        if run_id is None:
            return None
        try:
            last = tracking.last_decision(run_id, self.settings, timeout_s=PATIENCE_S)
        except (TrackingError, UsageError) as error:
            return Held(trouble=str(error))
        return Held() if last is None else Held(n=last[0], digest=last[1])

    def _of_job(self, job: Job) -> tuple[bool | None, str]:
        if not registry.load("task", job.task).tracked:
            return None, ""
        folder = JobFolder(job.folder)
        delivery = tracking.Delivery(folder, self.settings, timeout_s=PATIENCE_S)
        refused = delivery.finish(job.state).refused
        if refused is not None:
            raise TrackingError(refused)
        tracking.deliver_decisions(folder, self.settings, timeout_s=PATIENCE_S)
        return True, ""
