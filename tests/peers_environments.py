"""Environments for the tools we are compared with or bridge to, one each: their pins fight.

    python tests/peers_environments.py [NAME ...]        # makes those that are missing, by default all

`benchmarks/peers/NAME.txt` pins what stands in `.venv-peers/NAME`.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "tests" / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / ".venv-peers"


def names() -> list[str]:
    """Every peer that has pins."""
    return sorted(path.stem for path in PINS.glob("*.txt"))


def python(name: str) -> Path:
    """The interpreter of peer `name`, made or not."""
    return ENVIRONMENTS / name / "bin" / "python"


def made(name: str) -> bool:
    """Whether the environment of `name` stands, with the pins of today."""
    done = ENVIRONMENTS / name / ".done"
    return done.exists() and done.read_text() == _digest(name)


def make(name: str) -> None:
    """The environment of `name`, unless it is there."""
    if made(name):
        return
    print(f"{name}: installing {' '.join((PINS / f'{name}.txt').read_text().split())}", flush=True)
    venv.create(ENVIRONMENTS / name, with_pip=True, clear=True)
    more = os.environ.get("PIP_ARGS", "").split()
    pip = [str(python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *more]
    subprocess.run([*pip, "--requirement", str(PINS / f"{name}.txt")], check=True)
    (ENVIRONMENTS / name / ".done").write_text(_digest(name))


def _digest(name: str) -> str:
    return hashlib.sha256((PINS / f"{name}.txt").read_bytes()).hexdigest()


if __name__ == "__main__":
    for one in sys.argv[1:] or names():
        make(one)
