"""Environments for the vendors' official SDKs, one each: their pins fight.

    python tests/conformance_scripts.py        # makes those that are missing

A script in `sdks/` or `specs/` says in its first lines what it needs:

    # requires: openai==3.54.0
    # headers: authorization, content-type
    # differs: body.stream_options: the SDK leaves it to the caller
"""

import hashlib
import os
import re
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
HERE = ROOT / "tests" / "conformance"
ENVIRONMENTS = ROOT / ".venv-sdks"


@dataclass(frozen=True)
class Script:
    """One script, and what its first lines say."""

    path: Path

    @property
    def name(self) -> str:
        """`bedrock`, or `dashscope-native` for another way in."""
        return self.path.stem

    @property
    def provider(self) -> str:
        return self.name.partition("-")[0]

    @property
    def api(self) -> str:
        """Which way in; empty for the first."""
        return self.name.partition("-")[2]

    def said(self, word: str) -> list[str]:
        return [found.strip() for found in re.findall(rf"^# {word}:(.*)$", self.path.read_text(), re.MULTILINE)]

    @property
    def requires(self) -> list[str]:
        return " ".join(self.said("requires")).split()

    @property
    def headers(self) -> list[str]:
        return [name.strip().lower() for line in self.said("headers") for name in line.split(",") if name.strip()]

    @property
    def differs(self) -> dict[str, str]:
        """Dotted path → why the two requests differ there."""
        found = (line.partition(": ") for line in self.said("differs"))
        return {path.strip(): why.strip() for path, _, why in found if why}

    @property
    def python(self) -> Path:
        """Its interpreter; scripts that require the same share one."""
        name = hashlib.sha256(" ".join(sorted(self.requires)).encode()).hexdigest()[:12]
        return ENVIRONMENTS / name / "bin" / "python"


def scripts(kind: str) -> list[Script]:
    """All of `sdks` or `specs`."""
    return [Script(path) for path in sorted((HERE / kind).glob("*.py"))]


def make(script: Script) -> None:
    """The environment of `script`, unless it is there."""
    done = script.python.parent.parent / ".done"
    if done.exists():
        return
    print(f"{script.name}: installing {' '.join(script.requires)}", flush=True)
    venv.create(script.python.parent.parent, with_pip=True, clear=True)
    more = os.environ.get("PIP_ARGS", "").split()
    pip = [str(script.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *more]
    subprocess.run([*pip, *script.requires], check=True)
    done.touch()


if __name__ == "__main__":
    for one in [*scripts("sdks"), *scripts("specs")]:
        make(one)
