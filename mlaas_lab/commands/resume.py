"""`resume JOB`: a job that failed, was cancelled or preempted goes on from its last checkpoint."""

from pydantic import Field

from mlaas_lab.commands import Command
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.view.formats import usd


class Resume(Spec):
    """Let a job go on where it was: from its last checkpoint, or with the samples that have no answer yet."""

    job: JobId = Arg()
    """Id, unique prefix or name."""
    retry_failed: bool = False
    """Of an evaluation that ended: ask judges that failed again, and nobody else; answers and good scores stay."""
    max_usd: float | None = Field(None, gt=0)
    """Of an evaluation that stopped at its cap: from now on spend up to so much in all, in dollars."""
    ray_address: str = ""
    """Jobs API of the Ray cluster to go on at; by default that of the attempt before."""
    wait: bool = False
    """Wait for it; the shell does so anyway."""
    detach: bool = False
    """Return at once; a notebook does so anyway."""


def _tell(folder: JobFolder, **more: JSON) -> None:
    """Have the next attempt know `more`."""
    job = read_json(folder.job)
    if job is not None and any((job.get(name) or None) != (value or None) for name, value in more.items()):
        write_json(folder.job, {**job, **more})


def _move(folder: JobFolder, address: str) -> None:
    """Have the next attempt go to another cluster."""
    _tell(folder, launch={**((read_json(folder.job) or {}).get("launch") or {}), "ray_address": address})


def _check(handle: JobHandle) -> None:
    """See that there is something to judge again.

    Raises:
        UsageError: if there is not.
        DataError: if its records cannot be read.
    """
    from mlaas_lab import records
    from mlaas_lab.evaluation.judgements import failed

    if handle.job.task != "eval":
        raise UsageError(f"job {handle.id} is a {handle.job.task}; only evaluations have judges.")
    if not handle.job.state.ended:
        raise UsageError(f"job {handle.id} is {handle.job.state}.", next=f"`wait {handle.id}` first.")
    if not failed(records.read(handle.folder.records)):
        raise UsageError(f"no judge of job {handle.id} failed: there is nothing to judge again.")


def _check_cap(handle: JobHandle, max_usd: float) -> None:
    """See that a job may have a new cap.

    Raises:
        UsageError: if it has none, is not over, or may spend as much already.
    """
    before = handle.job.spec.get("max_usd")
    if before is None:
        raise UsageError(f"job {handle.id} has no cap to raise.", next="`eval --max-usd X` sets one from the start.")
    if not handle.job.state.ended:
        raise UsageError(f"job {handle.id} is {handle.job.state}.", next=f"`wait {handle.id}` first.")
    if max_usd <= before:
        raise UsageError(f"--max-usd is in all, and job {handle.id} may spend {usd(before)} already.")


def _run(args: Resume, lab: Lab) -> JobHandle:
    if args.wait and args.detach:
        raise UsageError("--wait and --detach say the opposite.")
    handle = lab.jobs.get(args.job)
    if args.max_usd is not None and args.retry_failed:
        raise UsageError("--max-usd asks what is left, and --retry-failed nobody but judges.", next="One at a time.")
    if args.max_usd is not None:
        _check_cap(handle, args.max_usd)
    if args.retry_failed:
        _check(handle)
    if handle.job.state.ended:
        _tell(handle.folder, retry_failed=args.retry_failed)
    if args.ray_address:
        _move(handle.folder, args.ray_address)
    spec = None if args.max_usd is None else {**handle.job.spec, "max_usd": args.max_usd}
    resumed = lab.jobs.resume(args.job, again=args.retry_failed or spec is not None, spec=spec)
    return lab.waited(resumed, True if args.wait else False if args.detach else None)


command = Command(
    args=Resume,
    run=_run,
    examples=("resume support", "resume 3f9a --wait", "resume my-eval --retry-failed", "resume my-eval --max-usd 2"),
)
