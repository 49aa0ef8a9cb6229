"""`attach JOB`: come back to a job from a new kernel or shell."""

from mlaas_lab.commands import Command
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.store import ALIVE


class Attach(Spec):
    """Come back to a job: the same card, the same progress, from any kernel."""

    job: JobId | None = Arg(None)
    """Id, unique prefix or name; without it, the one job that is alive."""
    wait: bool = False
    """Wait for it; the shell does so anyway."""


def _run(args: Attach, lab: Lab) -> JobHandle:
    handle = lab.jobs.get(args.job or _only(lab))
    return lab.wait(handle) if args.wait or lab.waits else handle


def _only(lab: Lab) -> str:
    alive = lab.jobs.every(states=ALIVE)
    if len(alive) == 1:
        return alive[0].id
    if not alive:
        raise UsageError("nothing is running.", next="`jobs` lists what ran.")
    shown = ", ".join(f"{job.name} ({job.id})" for job in alive[:5])
    raise UsageError(f"{len(alive)} jobs are running: {shown}.", next="Name one: attach JOB")


command = Command(args=Attach, run=_run, examples=("attach", "attach support"))
