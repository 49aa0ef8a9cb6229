"""What this machine has, told by its system and its drivers' own tools: no process of ours opens a device to look."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from mlaas_lab.errors import UsageError
from mlaas_lab.resources import GIB, Machine
from mlaas_lab.settings import Settings

LOOK_S = 10.0
"""How long the driver's tool may take."""


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One device."""

    name: str
    memory_bytes: int


def machine(settings: Settings) -> Machine:
    """Threads this process may use, and accelerators as found or as the settings declare them.

    Raises:
        UsageError: if the setting cannot be read.
    """
    return Machine(threads=threads(), gpus=tuple(device.memory_bytes for device in accelerators(settings)))


def threads() -> int:
    """CPU threads this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def accelerators(settings: Settings) -> list[Accelerator]:
    """The accelerators that jobs share.

    Raises:
        UsageError: if the setting is none of `auto`, `none`, `24GiB` and `2x24GiB`.
    """
    said = settings.accelerators.strip().lower()
    if said == "auto":
        return _found()
    if said in ("none", ""):
        return []
    declared = re.fullmatch(r"(?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*gib", said)
    if declared is None:
        raise UsageError(
            f"accelerators = {settings.accelerators!r} cannot be read.", next="Write auto, none, 24GiB or 2x24GiB."
        )
    count, gib = int(declared[1] or 1), float(declared[2])
    return [Accelerator(name="declared", memory_bytes=int(gib * GIB))] * count


def _found() -> list[Accelerator]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=LOOK_S, check=False)
    except subprocess.TimeoutExpired:
        return []
    return [device for line in said.stdout.splitlines() if (device := _device(line))] if said.returncode == 0 else []


def _device(line: str) -> Accelerator | None:
    """`NVIDIA H200, 143771`: name and MiB."""
    name, _, mib = line.rpartition(",")
    return Accelerator(name=name.strip(), memory_bytes=int(mib) * 2**20) if mib.strip().isdigit() else None
