"""A JupyterLab, or a Notebook 7, with the extension that this repository built and jobs of its own.

The extension is found where it was built, so nothing of the environment changes.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from jupyter_pages import REPO, Lab
from made_jobs import made

from mlaas_lab.store import Store

APPEARED = """
    window.appeared = {};
    new MutationObserver(() => document.querySelectorAll('#mlaas-lab li[data-job]').forEach(row => {
        window.appeared[row.dataset.job] ??= Date.now() / 1000;
    })).observe(document.querySelector('#mlaas-lab'), { childList: true, subtree: true });
"""


def lags(page, store, times: int = 11) -> list[float]:
    """Seconds from a job in the store to its row in the sidebar, which is shown."""
    page.evaluate(APPEARED)
    at = {}
    for n in range(times):
        store.add(made(f"t{n}"))
        at[f"t{n}"] = time.time()
        page.locator(f"#mlaas-lab li[data-job='t{n}']").first.wait_for()
    seen = page.evaluate("window.appeared")
    return [seen[job_id] - then for job_id, then in at.items()]


class SideLab(Lab):
    """A JupyterLab that has the sidebar, with jobs of its own."""

    kernel = "python3"

    def __init__(self, folder: Path, *, theme: str = "light", served: bool = True, flags: Sequence[str] = ()) -> None:
        built = REPO / "mlaas_lab" / "labextension"
        assert (built / "package.json").is_file(), "make labextension builds it"
        found, told = folder / "share" / "labextensions", folder / "etc" / "jupyter_server_config.d"
        found.mkdir(parents=True)
        told.mkdir(parents=True)
        (found / "mlaas_lab").symlink_to(built)
        shipped = (REPO / "labextension" / "jupyter-config" / "mlaas_lab.json").read_text()
        (told / "mlaas_lab.json").write_text(shipped.replace("true", str(served).lower()))
        self.data = folder / "data"
        own = {
            "JUPYTER_PATH": os.pathsep.join([str(found.parent), *self.shares(found.parent)]), "JUPYTER_CONFIG_PATH": str(told.parent), "MLAAS_DATA_DIR": str(self.data),
            "MLAAS_MAX_USD_PER_DAY": "2.5", "MLAAS_MLFLOW_UI_URL": "http://mlflow.test/mlflow",
            "PYTHONPATH": str(REPO / "tests" / "plugins"),
        }  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            for name, value in own.items():
                patch.setenv(name, value)
            super().__init__(folder, theme=theme, flags=flags)

    def shares(self, _own: Path) -> list[str]:
        """Other folders of Jupyter's shared files."""
        return []

    def show(self, page, place: str = "lab") -> None:
        """The page, its sidebar open."""
        self._wait()
        page.goto(f"{self.origin}/{place}{'&' if '?' in place else '?'}token=t&reset")
        page.wait_for_selector('[data-id="mlaas-lab"]', timeout=120_000)
        page.click('[data-id="mlaas-lab"]')
        page.wait_for_selector("#mlaas-lab:visible")

    def book(self, *codes: str) -> None:
        """A notebook of these cells."""
        kernel = {"kernelspec": {"name": self.kernel, "display_name": "Python 3", "language": "python"}}
        cells = [nbformat.v4.new_code_cell(code) for code in codes]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), self.folder / "book.ipynb")

    def store(self):
        """The store of its jobs."""
        return closing(Store(self.data / "store.sqlite3"))


class Notebook7(SideLab):
    """A Notebook 7 from an environment of its own; its kernels are those of this one."""

    program = (str(REPO / ".venv-notebook" / "bin" / "python"), "-m", "notebook")
    kernel = "tested"

    def shares(self, own: Path) -> list[str]:
        spec = own / "kernels" / self.kernel
        spec.mkdir(parents=True)
        words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (spec / "kernel.json").write_text(json.dumps({"argv": words, "display_name": "Tested", "language": "python"}))
        for name in ("anywidget", "@jupyter-widgets"):
            (own / "labextensions" / name).symlink_to(Path(sys.prefix) / "share" / "jupyter" / "labextensions" / name)
        return []
