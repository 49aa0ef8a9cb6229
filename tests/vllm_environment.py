"""An interpreter of its own for vLLM, `.venv-vllm`: its pins bind nobody else.

    python tests/vllm_environment.py

Where there is a GPU it gets the project's own wheel; elsewhere a build for CPUs, which asks for libraries that have no
build there and that it does not import for text. `serving/vllm/*.txt` pin both.
"""

import hashlib
import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "tests" / "serving" / "vllm"
HOME = ROOT / ".venv-vllm"
TORCH = "torch==2.13.0"
"""Where a machine has an index with builds for CPUs, this version is one."""


def steps() -> list[list[str]]:
    """What pip is told, one call after the other."""
    if shutil.which("nvidia-smi"):
        return [["--requirement", str(PINS / "gpu.txt")]]
    wheel = ["--no-deps", "--require-hashes", "--requirement", str(PINS / "cpu-wheel.txt")]
    return [[TORCH, "--requirement", str(PINS / "cpu.txt")], wheel]


def make() -> None:
    """Make the environment, unless it stands with the pins of today."""
    done = HOME / ".done"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(PINS.glob("*.txt")))).hexdigest()
    if done.exists() and done.read_text() == wanted:
        return
    print(f"Installing vLLM into {HOME}; this takes a few minutes.", flush=True)
    venv.create(HOME, with_pip=True, clear=True)
    pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in steps():
        subprocess.run([*pip, *os.environ.get("PIP_ARGS", "").split(), *step], check=True)
    done.write_text(wanted)


if __name__ == "__main__":
    make()
