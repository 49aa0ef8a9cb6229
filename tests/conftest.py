"""Every test has a home of its own: no file, key or job of the user is seen or touched."""

import os
from pathlib import Path

import pytest

from mlaas_lab.settings import Preferences, Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("MLAAS_", "MLFLOW_", "XDG_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of that home."""
    return Preferences().settings()
