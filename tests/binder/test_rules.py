"""What repo2docker asks of the files in `binder/` (its buildpacks' `base.py` and `python/`, 2026.4.0)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""`conda/supported_python_version.py`."""
FIRST = ("environment.yml", "environment.yaml", "Pipfile", "Pipfile.lock", "Project.toml", "default.nix", "install.R")
"""Files that choose another way to build than pip's."""


def test_one_folder_is_read_and_nothing_in_it_asks_for_another_way_to_build():
    assert not (ROOT / ".binder").exists(), "two folders are an error"
    assert [name for name in (*FIRST, "Dockerfile", "setup.py", "apt.txt") if (BINDER / name).exists()] == []


def test_python_is_one_that_is_built():
    name, version = (BINDER / "runtime.txt").read_text().strip().split("-")
    assert name == "python"
    assert version in PYTHONS


def test_requirements_name_files_that_are_there():
    """pip runs in the repository's root, and reads `--constraint` from where the file stands."""
    for path in BINDER.rglob("requirements.txt"):
        (constraints,) = re.findall(r"^--constraint (.+)$", path.read_text(), re.MULTILINE)
        assert (path.parent / constraints).is_file()
        assert re.search(r"^\.\[", path.read_text(), re.MULTILINE), "the package itself"


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_be_run_from_a_fresh_checkout(name):
    assert (BINDER / name).read_text().startswith("#!/bin/sh\n")
    assert os.access(BINDER / name, os.X_OK)
    kept = subprocess.run(["git", "ls-files", "-s", f"binder/{name}"], cwd=ROOT, capture_output=True, text=True)
    assert kept.stdout.startswith("100755") or kept.returncode, "git keeps that it can be run"


def test_a_build_that_fails_stops():
    assert "set -eu" in (BINDER / "postBuild").read_text()


def test_start_becomes_the_server_it_is_given():
    """Signals reach Jupyter, words with spaces arrive whole, and its exit status is the container's."""
    assert (BINDER / "start").read_text().rstrip().splitlines()[-1] == 'exec "$@"'
    words = ["sh", "-c", 'echo "$PPID $$ $1" "${MLAAS_MLFLOW_UI_URL}"; exit 3', "sh", "two words"]
    known = {"PATH": os.defpath, "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    started = subprocess.Popen([BINDER / "start", *words], env=known, stdout=subprocess.PIPE, text=True)
    said, _ = started.communicate()
    assert said == f"{os.getpid()} {started.pid} two words /user/ada/mlflow/\n"
    assert started.returncode == 3
