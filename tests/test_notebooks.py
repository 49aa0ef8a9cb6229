"""The notebooks as they are kept, and run as a user runs them; `make test-binder` runs those that need no torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import polars as pl
import pytest

from mlaas_lab import records

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_there_are_five():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_kept_as_it_was_written(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []
    assert notebook.cells[0].source.startswith("# ")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("data/*.parquet")), ids=lambda path: path.stem)
def test_recorded_runs_say_what_they_are(path):
    frame = records.read(path)
    assert len(frame) > 0
    said = pl.col("target").str.contains("(recorded)", literal=True) | pl.col("emulated")
    assert frame.filter(~said).is_empty()
    assert path.stat().st_size < 300_000


@pytest.mark.long
def test_serving_runs_top_to_bottom(tmp_path, home):
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    words = ["notebooks/execute.py", "notebooks/03_serve_and_load.ipynb", "--to", "build"]
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env={**os.environ, "HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "support says return" in done.stdout
    assert "channel says mail" in done.stdout
