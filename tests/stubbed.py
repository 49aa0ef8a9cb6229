"""The entry of `serve`, run here with a server that needs no model."""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from mlaas_lab import registry
from mlaas_lab.context import Context
from mlaas_lab.serving import Engine, Launch, _run
from mlaas_lab.tasks.serve import Serve

STUB = Path(__file__).parent / "serving" / "stub_server.py"


def stub(*words: str, taken_first: int = 0) -> Engine:
    """An engine that starts the stub; its first `taken_first` servers find their port taken."""
    tries = []

    def launch(models, wishes, _folder):
        tries.append(wishes.port)
        code = "import sys; sys.exit('[Errno 48] Address already in use')"
        command = [sys.executable, str(STUB), str(wishes.port), *words]
        if len(tries) <= taken_first:
            command = [sys.executable, "-c", code]
        return Launch(command=tuple(command), environment={}, models={m.name: f"served-{m.name}" for m in models})

    return Engine(launch=launch)


def use(monkeypatch, engine: Engine) -> None:
    monkeypatch.setattr(registry, "load", lambda _kind, _name: engine)


def lines(context: Context, event: str) -> list[dict]:
    return [line for _, line in context.folder.events_from(0) if line["event"] == event]


def serve_until(context: Context, spec: Serve, *, event: str = "ready", within_s: float = 60):
    """Stop the job as soon as it wrote `event`; what the entry returned."""

    def stop():
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not lines(context, event):
            time.sleep(0.05)
        context.stopping = True

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        return _run.serve(spec, context)
    finally:
        context.stopping = True
        stopper.join()


def started() -> list[psutil.Process]:
    """What this process started and still runs.

    A zombie of another test has ended; those of Python's `multiprocessing` stay as long as this process does.
    """
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            lasting = one.ppid() == os.getpid() and "from multiprocessing." in " ".join(one.cmdline())
            if one.status() != psutil.STATUS_ZOMBIE and not lasting:
                found.append(one)
    return found
