"""A task of another distribution, for the tests: it counts, and fails in every way a job can."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.errors import DataError
from mlaas_lab.resources import Needs
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
    end: Literal["well", "data", "bug", "killed", "exit", "deaf", "orphan", "file", "flood"] = "well"
    """How it ends: `deaf` ignores a polite request, `orphan` leaves a grandchild behind, `flood` prints a megabyte a step."""
    threads: int = 0
    """CPU threads it waits for."""
    gpu_gib: float | None = None
    """Accelerator memory it waits for; 0 is not known."""
    memory: Literal["enough", "python", "allocator", "abort", "system"] = "enough"
    """What runs out of it while more than half a portion is asked for at once."""
    portion: int = 8
    """How much it asks for at once."""


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


def count_on(spec: Toy, context: Context) -> Outcome:
    """Count to `spec.steps`, from where an earlier attempt came to; what was counted is on disk before it is said."""
    kept = context.folder.path / "kept"
    if spec.end == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if spec.end == "orphan":
        leave_orphan(context)
    if spec.portion > 4:
        starve(spec.memory)
    (context.folder.path / f"visible-{context.attempt}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    for n in range(int(kept.read_text()) if kept.exists() else 0, spec.steps):
        if context.stopping:
            keep(kept, n, context)
            raise Stopped
        context.progress(n, spec.steps)
        context.log(n, loss=1 / (n + 1))
        if spec.end == "flood":
            print("x" * 1_000_000)
        # Every third step is kept: one that dies repeats up to two.
        if n % 3 == 2:
            keep(kept, n + 1, context)
        time.sleep(spec.pause_s)
    context.progress(spec.steps, spec.steps)
    return Outcome(result={"counted": spec.steps, "attempt": context.attempt}, metrics={"counted": float(spec.steps)})


def keep(place: Path, n: int, context: Context) -> None:
    """A checkpoint: whole or not at all, after everything that was logged before it."""
    context.settle()
    beside = place.with_suffix(".new")
    beside.write_text(str(n))
    beside.replace(place)


def starve(how: str) -> None:
    """Run out of memory, each time as another part of the system says it."""
    match how:
        case "python":
            bytearray(1 << 60)
        case "allocator":
            import torch

            torch.empty(1 << 60)
        case "abort":
            print("memory allocation of 68719476736 bytes failed", file=sys.stderr, flush=True)
            os.abort()
        case "system":
            Path(os.environ["TOY_CGROUP"], "cgroup.procs").write_text(str(os.getpid()))
            print(len(bytearray(600_000_000)))


def needs(spec: Toy, settings: object, machine: object) -> Needs:
    """What the Spec says."""
    gib = None if spec.gpu_gib is None else int(spec.gpu_gib * 2**30) or None
    return Needs(threads=spec.threads, gpus=spec.gpu_gib is not None, gpu_bytes=gib)


def smaller(spec: Toy) -> dict[str, int] | None:
    """Half a portion."""
    return {"portion": spec.portion // 2} if spec.portion > 1 else None


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
curve = Task(spec=Toy, entry="toy:count", view="mlaas_lab.panels._training:views", tracked=False)
service = Task(spec=Toy, entry="toy:serve", tracked=False, service=True)
tracked = Task(spec=Toy, entry="toy:count")
long = Task(spec=Toy, entry="toy:count_on", tracked=False, resumable=True, needs="toy:needs", smaller=smaller)
long_tracked = Task(spec=Toy, entry="toy:count_on", resumable=True)
