"""A task of another distribution, for the tests: it counts, and fails in every way a job can."""

import os
import signal
import subprocess
import sys
import time
from typing import Literal

from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.errors import DataError
from mlaas_lab.spec import Spec
from mlaas_lab.tasks import Task


class Toy(Spec):
    """Count."""

    steps: int = 3
    """How far."""
    pause_s: float = 0.0
    """Between two steps, in seconds."""
    name: str = ""
    """What to call it."""
    end: Literal["well", "data", "bug", "killed", "exit", "deaf", "orphan", "file"] = "well"
    """How it ends: `deaf` ignores a polite request, `orphan` leaves a grandchild behind."""


def count(spec: Toy, context: Context) -> Outcome:
    """Count to `spec.steps`."""
    if spec.end == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if spec.end == "orphan":
        leave_orphan(context)
    for n in context.steps(range(spec.steps), spec.steps):
        context.log(n, loss=1 / (n + 1))
        context.note(f"step {n}")
        time.sleep(spec.pause_s)
    match spec.end:
        case "data":
            raise DataError("rows.jsonl:3: no messages.", next="Mend the line.")
        case "bug":
            raise ZeroDivisionError("a bug")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(7)
    if spec.end == "file":
        made = context.folder.path / "made"
        made.write_text("made")
        return Outcome(artifacts=(str(made),))
    return Outcome(result={"counted": spec.steps}, metrics={"counted": float(spec.steps)})


def leave_orphan(context: Context) -> None:
    """A double-forked grandchild in a session of its own, its pid in a file."""
    script = (
        "import os, sys, time\n"
        "if os.fork(): sys.exit()\n"
        "os.setsid()\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(context.folder.path / "orphan")], check=True)


def serve(spec: Toy, context: Context) -> Outcome:
    """A service that answers nobody."""
    place = {"name": "toy", "base_url": "http://127.0.0.1:1/v1", "model": "m", "engine": "toy", "source": "toy"}
    context.endpoint(**place, ready=False)
    time.sleep(spec.pause_s)
    context.endpoint(**place, ready=True)
    context.ready()
    while not context.stopping:
        time.sleep(0.02)
    raise Stopped


task = Task(spec=Toy, entry="toy:count", tracked=False)
service = Task(spec=Toy, entry="toy:serve", tracked=False, service=True)
tracked = Task(spec=Toy, entry="toy:count")
