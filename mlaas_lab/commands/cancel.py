"""`cancel JOB`: ask a job to stop, and a server to go; it keeps what is worth keeping."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlaas_lab.commands import Command
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.store import ALIVE
from mlaas_lab.view import Shown, View
from mlaas_lab.view.job import table

ENDS_WITHIN_S = 12.0
"""Grace, killing and writing the end."""


class Cancel(Spec):
    """Ask a job to stop; works while a cell runs and from any kernel or shell."""

    job: JobId = Arg()
    """Id, unique prefix or name; `all` for every job that is alive."""


@dataclass(frozen=True)
class Cancelled(Shown):
    """The jobs that were asked, as they stand now."""

    jobs: Sequence[Job]

    def view(self) -> View:
        """One row a job."""
        return table(self.jobs) if self.jobs else View(title="Nothing runs")

    def as_json(self) -> JSON:
        """`{jobs: [{job_id, state}]}`, and `job_id` and `state` when it is one."""
        rows = [{"job_id": job.id, "state": str(job.state)} for job in self.jobs]
        return {"jobs": rows, **(rows[0] if len(rows) == 1 else {})}


def _run(args: Cancel, lab: Lab) -> Cancelled:
    alive = [job.id for job in lab.jobs.every(states=ALIVE)]
    wanted = alive if args.job == "all" else [lab.jobs.get(args.job).id]
    return Cancelled([_ended(handle) for handle in [lab.jobs.cancel(job_id) for job_id in wanted]])


def _ended(handle: JobHandle) -> Job:
    handle.wait_end(ENDS_WITHIN_S)
    return handle.job


command = Command(args=Cancel, run=_run, examples=("cancel support", "cancel all"))
