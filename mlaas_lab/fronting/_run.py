"""The entry of `front`: listens until somebody stops the job."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

from filelock import FileLock, Timeout

from mlaas_lab.context import Context, Outcome
from mlaas_lab.errors import StoreError, UsageError
from mlaas_lab.fronting.callers import Caller, Desk
from mlaas_lab.fronting.directory import Directory
from mlaas_lab.fronting.doors import server_key
from mlaas_lab.fronting.first_tokens import Noted
from mlaas_lab.fronting.guard import Guard
from mlaas_lab.fronting.sleeping import Sleep
from mlaas_lab.inference.loop import on_loop
from mlaas_lab.job_manager import JobManager
from mlaas_lab.settings import Settings
from mlaas_lab.spec import seconds
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.front import HOST, Kept
from mlaas_lab.store.known import KnownEndpoints
from mlaas_lab.store.wishes import Change, ask
from mlaas_lab.tasks.front import Front

LOOK_S = 0.2
SWEEP_S = 1.0
BACKLOG = 512
WISH_S = 300.0
"""For a server to sleep, or to wake up: weights that are read anew take a while."""
LEAVE_S = 3.0
"""For answers that are on their way when the front is stopped."""
OPEN_FILES = 4_096
"""Two for each caller that is being answered; many systems start with a quarter of that."""
_PARENT = os.getppid()


def serve(spec: Front, context: Context) -> Outcome:
    """Answer for all endpoints of the user until somebody stops the job.

    Raises:
        UsageError: if another front of this user runs, or the port is taken.
        DataError: if the token cannot be read.
    """
    kept = Kept(context.settings)
    kept.make()
    try:
        with FileLock(kept.lock, timeout=0), _listening(spec.port or kept.port, asked=bool(spec.port)) as listener:
            _more_files()
            on_loop(_front(listener, kept, spec, context))
    except Timeout:
        raise UsageError("another front of yours runs already.", next="`mlaas front` shows it.") from None
    return Outcome()


def _listening(port: int, *, asked: bool) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        why = (error.strerror or str(error)).lower()
        whose = "" if asked else ", which it had the last time,"
        raise UsageError(
            f"port {port} on {HOST}{whose} cannot be used: {why}.", next="Choose another: front --port N"
        ) from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


async def _front(listener: socket.socket, kept: Kept, spec: Front, context: Context) -> None:
    port: int = listener.getsockname()[1]
    settings = context.settings
    known = KnownEndpoints(settings.store_path, task="serve")
    directory = Directory(
        known,
        key=lambda job_id: server_key(settings.jobs_dir, job_id),
        sleepers=kept.sleepers,
        wake=partial(_on_jobs, settings, partial(_wake, kept)),
    )
    sleep = Sleep(
        kept,
        idle_s=seconds(spec.idle),
        stop=partial(_on_jobs, settings, JobManager.cancel),
        rest=partial(_on_jobs, settings, partial(_wish, Change(asleep=True))),
    )
    desk = Desk(guard=Guard(port=port, token=kept.token()), directory=directory, queue_s=spec.queue_s)
    await directory.look()
    server = await asyncio.get_running_loop().create_server(lambda: Caller(desk), sock=listener)
    looking = asyncio.ensure_future(directory.keep())
    kept.keep_port(port)
    context.note(f"http://{HOST}:{port}/v1")
    context.ready()
    try:
        await _stay(desk, sleep, context)
        server.close()
        await _leave(desk)
    finally:
        looking.cancel()
        server.close()


async def _stay(desk: Desk, sleep: Sleep, context: Context) -> None:
    loop = asyncio.get_running_loop()
    swept_at = loop.time()
    # Without its supervisor nobody could stop it.
    while not context.stopping and os.getppid() == _PARENT:
        await asyncio.sleep(LOOK_S)
        if loop.time() - swept_at > SWEEP_S:
            swept_at = loop.time()
            desk.sweep()
            if found := desk.first_tokens.take(swept_at):
                await asyncio.to_thread(_note, context.settings, found)
            await _rest(desk, sleep, context)


async def _rest(desk: Desk, sleep: Sleep, context: Context) -> None:
    """Stop what nobody wants."""
    directory, loop = desk.directory, asyncio.get_running_loop()
    for door in await asyncio.to_thread(sleep.due, directory.listed(), dict(desk.wanted), loop.time()):
        desk.sweep()
        if loop.time() - desk.wanted.get(door.job_id, 0.0) < SWEEP_S:
            continue  # a request came while others were looked for
        sleep.rest(door, directory)
        context.note(f"{door.name} sleeps: nobody asked it for {sleep.idle_s(door):g} s")
        await asyncio.to_thread(sleep.put, door)
        await directory.look(anew=True)


def _note(settings: Settings, found: Sequence[Noted]) -> None:
    """Write how long first tokens took; while the store is busy nobody waits for that."""
    known = KnownEndpoints(settings.store_path, task="serve")
    try:
        for one in found:
            known.note_first_token(one.job_id, one.name, cold_s=one.cold_s, warm_s=one.warm_s)
    except StoreError:
        return
    finally:
        known.close()


async def _leave(desk: Desk) -> None:
    """Answer what is being answered, and take nothing more."""
    for caller in list(desk.callers):
        caller.leave()
    for _ in range(int(LEAVE_S / LOOK_S)):
        if not any(caller.busy for caller in desk.callers):
            return
        await asyncio.sleep(LOOK_S)


def _on_jobs(settings: Settings, act: Callable[[JobManager, str], object], job_id: str) -> None:
    """Have a job stopped, or go on; called on a thread."""
    store = Store(settings.store_path)
    try:
        act(JobManager(settings, store), job_id)
    finally:
        store.close()


def _wake(kept: Kept, jobs: JobManager, job_id: str) -> None:
    """Have a job go on; or its server wake up, if the job never ended."""
    if jobs.store.job(job_id).state.ended:
        jobs.resume(job_id)
    else:
        _wish(Change(asleep=False), jobs, job_id)
        kept.woken(job_id)


def _wish(change: Change, jobs: JobManager, job_id: str) -> None:
    """Have the server of a job that runs do something, and return when it is done."""
    handle = jobs.get(job_id)
    ask(JobFolder(handle.job.folder), change, alive=lambda: not handle.state.ended, within_s=WISH_S)


def _more_files() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
