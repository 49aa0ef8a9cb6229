"""`resume JOB`: a job that failed, was cancelled or preempted goes on from its last checkpoint."""

from mlaas_lab.commands import Command
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.store.folder import JobFolder, read_json, write_json


class Resume(Spec):
    """Let a job go on where it was: from its last checkpoint, or with the samples that have no answer yet."""

    job: JobId = Arg()
    """Id, unique prefix or name."""
    ray_address: str = ""
    """Jobs API of the Ray cluster to go on at; by default that of the attempt before."""
    wait: bool = False
    """Wait for it; the shell does so anyway."""
    detach: bool = False
    """Return at once; a notebook does so anyway."""


def _move(folder: JobFolder, address: str) -> None:
    """Have the next attempt go to another cluster."""
    job = read_json(folder.job)
    if job is not None:
        write_json(folder.job, {**job, "launch": {**(job.get("launch") or {}), "ray_address": address}})


def _run(args: Resume, lab: Lab) -> JobHandle:
    if args.wait and args.detach:
        raise UsageError("--wait and --detach say the opposite.")
    if args.ray_address:
        _move(lab.jobs.get(args.job).folder, args.ray_address)
    return lab.waited(lab.jobs.resume(args.job), True if args.wait else False if args.detach else None)


command = Command(args=Resume, run=_run, examples=("resume support", "resume 3f9a --wait"))
