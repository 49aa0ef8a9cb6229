"""`wait JOB`: until it has ended, or a server answers."""

from mlaas_lab.commands import Command
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, JobId, Spec


class Wait(Spec):
    """Wait for a job and show its progress; an interrupt leaves the job running."""

    job: JobId = Arg()
    """Id, unique prefix or name."""
    timeout: float | None = None
    """Give up waiting after this many seconds."""


def _run(args: Wait, lab: Lab) -> JobHandle:
    return lab.wait(lab.jobs.get(args.job), args.timeout)


command = Command(args=Wait, run=_run, examples=("wait support",))
