"""The entry of `serve`, run here with a server that needs no model."""

import sys
import threading
import time
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
        command = [sys.executable, str(STUB), wishes.socket or str(wishes.port), *words]
        if len(tries) <= taken_first:
            command = [sys.executable, "-c", code]
        return Launch(command=tuple(command), environment={}, models={m.name: f"served-{m.name}" for m in models})

    return Engine(launch=launch)


_BEFORE: set[psutil.Process] = set()
"""What ran already: the tests of other files share this process."""


def use(monkeypatch, engine: Engine) -> None:
    _BEFORE.clear()
    _BEFORE.update(psutil.Process().children(recursive=True))
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
    """What ran not yet at `use` and still runs; a zombie has ended."""
    mine = [one for one in psutil.Process().children(recursive=True) if one not in _BEFORE]
    return [one for one in mine if one.status() != psutil.STATUS_ZOMBIE]
