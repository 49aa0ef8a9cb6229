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
    called = pl.when("emulated").then(pl.lit(" (emulated)")).otherwise(pl.lit(" (recorded)"))
    assert frame.filter(~pl.col("target").str.ends_with(called)).is_empty()
    assert path.stat().st_size < 300_000


def served(folder: Path, home: Path, **env: str) -> str:
    """What the third notebook tells, run in a home of its own."""
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    words = ["notebooks/execute.py", "notebooks/03_serve_and_load.ipynb", "--to", "build"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "support says return" in done.stdout
    assert "channel says mail" in done.stdout
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_serving_without_vllm_says_so_and_takes_the_other_engine(tmp_path, home):
    said = served(tmp_path, home, MLAAS_VLLM_PYTHON=sys.executable)
    assert "vLLM is absent" in said
    assert "So engine transformers serves here." in said


@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_serving_with_vllm(tmp_path, home):
    said = served(tmp_path, home)
    assert "So engine vllm serves here." in said
