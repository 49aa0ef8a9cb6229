"""The default install on every Python that is named: it resolves, it is light, and its magics work.

`make test-pythons PYTHONS="python3.12 /opt/python3.13/bin/python"` says which; those that are not here are skipped.
"""

import os
import shutil
import subprocess

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


@pytest.mark.pythons
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("python", PYTHONS)
def test_default_install_is_light_and_works(python, tmp_path):
    place = shutil.which(python)
    if place is None:
        pytest.skip(f"no {python} here")
    own = {**os.environ, "HOME": str(tmp_path)}

    def run(*words):
        return subprocess.run(words, cwd=tmp_path, env=own, check=True, capture_output=True, text=True).stdout

    run(place, "-m", "venv", "fresh")
    there = str(tmp_path / "fresh" / "bin" / "python")
    pins = ("--constraint", str(REPO / ".ci" / "constraints.txt"), *os.environ.get("PIP_ARGS", "").split())
    run(there, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins, str(REPO))
    assert "No broken requirements" in run(there, "-m", "pip", "check")
    assert run(there, "-c", CELL).splitlines()[-1] == "[]", "nothing heavy came along"
