"""`serve`: servers for models and adapters, and adapters that join or leave one that runs."""

import time

from mlaas_lab.commands import Command, front
from mlaas_lab.commands._dispatch import Launch, submit
from mlaas_lab.errors import UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Endpoint
from mlaas_lab.spec import Arg, ModelName
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.wishes import Change, ask
from mlaas_lab.tasks import serve
from mlaas_lab.tasks.front import Front

CHANGES_WITHIN_S = 600.0
"""How long an adapter may take to join."""
TOLD_WITHIN_S = 5.0
"""How long its supervisor may take to write down that it did."""


class Serve(Launch, serve.Serve):
    """Serve models and adapters on this machine until the job is cancelled; or change what a server serves."""

    models: tuple[ModelName, ...] = Arg(())
    """`tiny`, adapters by name, folders, or hub ids; each becomes an endpoint of that name."""
    add: ModelName | None = None
    """An adapter that joins a server that runs; `--name` gives its endpoint another name."""
    to: str = ""
    """Any endpoint of that server, or its job."""
    remove: str = ""
    """Endpoint of an adapter that its server shall let go of."""


def _run(args: Serve, lab: Lab) -> JobHandle:
    if not (args.add or args.remove or args.to):
        if not args.models:
            raise UsageError(
                "MODELS... is missing: what shall be served.", next="serve tiny, or serve --add ADAPTER --to NAME"
            )
        if args.idle:
            front.running(Front(), lab)  # which stops what is idle, and starts it again
        return submit("serve", serve.task, args, lab)
    if args.models or (args.add and args.remove):
        raise UsageError("one thing at a time: models to serve, --add ADAPTER --to NAME, or --remove NAME.")
    if bool(args.add) != bool(args.to):
        raise UsageError("--add says which adapter, and --to which server.", next="serve --add ADAPTER --to NAME")
    job = _server(args.to or args.remove, lab)
    change = Change(add=args.add or "", name=args.name, remove=args.remove)
    more = [args.name or serve.endpoint_name(args.add)] if args.add else []
    taken, granted = lab.store.answer(job.id, more=more), False
    try:
        ask(JobFolder(job.job.folder), change, alive=lambda: not job.state.ended, within_s=CHANGES_WITHIN_S)
        granted = True
    finally:
        if taken and not granted:
            lab.store.answer(job.id, less=taken)
    deadline = time.monotonic() + TOLD_WITHIN_S
    while not _told(job, more, args.remove) and time.monotonic() < deadline:
        time.sleep(0.02)
    return job


def _told(job: JobHandle, more: list[str], less: str) -> bool:
    """Whether the store knows what joined or left, so that the card that is shown next does."""
    names = {one["name"] for one in job.serving}
    return names.issuperset(more) and less not in names


def _server(name: str, lab: Lab) -> JobHandle:
    """The job that serves `name`, or is called so.

    Raises:
        UsageError: if there is none, or it does not run.
    """
    found: list[Endpoint] = [one for one in lab.store.endpoints() if one.name == name]
    served = [one for one in found if lab.store.job(one.job_id).task == "serve"]
    if len(served) > 1:
        jobs = " and ".join(one.job_id for one in served)
        raise UsageError(f"{name!r} is an endpoint of several jobs: {jobs}.", next="Name the job.")
    handle = lab.jobs.get(served[0].job_id if served else name)
    if handle.job.task != "serve" or handle.state.ended:
        raise UsageError(f"{name!r} is no server that runs.", next=f"Start it: serve {name}")
    return handle


command = Command(
    args=Serve,
    run=_run,
    examples=(
        "serve tiny support",
        "serve tiny support --idle 10m",
        "serve --add legal --to tiny",
        "serve --remove legal",
    ),
)
