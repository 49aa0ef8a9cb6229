"""The default install on every Python that is named: it resolves, it is light, and its magics work; and, once, the
environment of all five notebooks.

`make test-pythons PYTHONS="python3.12 /opt/python3.13/bin/python"` says which; those that are not here are skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_pages import REPO

PYTHONS = os.environ.get("PYTHONS", "python3.11 python3.12 python3.13").split()
HEAVY = ("torch", "transformers", "ragas", "litellm", "panel", "ray", "vllm")
CELL = f"""
import importlib.util
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mlaas_lab")
assert shell.run_cell("%mlaas version").success
print([name for name in {HEAVY} if importlib.util.find_spec(name)])
"""


class Fresh:
    """A new environment in `folder`, which is its home too."""

    def __init__(self, python: str, folder: Path) -> None:
        self._own = {**os.environ, "HOME": str(folder)}
        self._python = str(folder / "fresh" / "bin" / "python")
        self._run(python, "-m", "venv", str(folder / "fresh"))

    def install(self, *words: str) -> None:
        given = os.environ.get("PIP_ARGS", "").split()
        self.python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *given, *words)
        assert "No broken requirements" in self.python("-m", "pip", "check")

    def python(self, *words: str) -> str:
        return self._run(self._python, *words)

    def _run(self, *words: str) -> str:
        return subprocess.run(words, cwd=REPO, env=self._own, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.pythons
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("python", PYTHONS)
def test_default_install_is_light_and_works(python, tmp_path):
    place = shutil.which(python)
    if place is None or subprocess.run([place, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {python} here")
    fresh = Fresh(place, tmp_path)
    fresh.install("--constraint", ".ci/constraints.txt", ".")
    assert fresh.python("-P", "-c", CELL).splitlines()[-1] == "[]", "nothing heavy came along"


@pytest.mark.pythons
@pytest.mark.timeout(1800)
def test_the_environment_with_torch_trains_and_serves(tmp_path):
    fresh = Fresh(sys.executable, tmp_path)
    fresh.install("--requirement", "binder/full/requirements.txt")
    said = fresh.python("notebooks/execute.py", "notebooks/01_quickstart.ipynb", "--to", str(tmp_path / "build"))
    assert "support is better than tiny by exact_match" in said
