"""JupyterLab with notebooks of a few cells, and the machine's browser to look at them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

REPO = Path(__file__).parents[1]
sys.path.append(str(REPO / ".venv-browser"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]


def launch(driver):
    """The machine's browser, driven by Playwright."""
    place = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert place, "no chromium here; CHROMIUM says which browser"
    return driver.chromium.launch(executable_path=place, args=FLAGS)


class Lab:
    """A JupyterLab with notebooks of one cell."""

    program: Sequence[str] = (sys.executable, "-m", "jupyterlab")

    def __init__(self, folder: Path, *, theme: str, flags: Sequence[str] = ()) -> None:
        self.folder = folder
        self.settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        self.settings.mkdir(parents=True)
        self._set("themes", {"theme": f"JupyterLab {theme.title()}", "adaptive-theme": theme == "adaptive"})
        self._set("notification", {"fetchNews": "false", "checkForUpdates": False})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.origin = f"http://127.0.0.1:{probe.getsockname()[1]}"
        path = os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])
        own = {"HOME": str(folder), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "PYTHONPATH": path}
        words = [
            f"--port={self.origin.rpartition(':')[2]}", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1",
            "--IdentityProvider.token=t", "--no-browser", "--allow-root", *flags,
        ]  # fmt: skip
        self._log = (folder / "lab.log").open("w")
        self._server = subprocess.Popen(
            [*self.program, *words], env={**os.environ, **own}, stdout=self._log, stderr=self._log
        )

    def _set(self, name: str, values: dict) -> None:
        (self.settings / f"{name}.jupyterlab-settings").write_text(json.dumps(values))

    def run(self, page, code: str) -> None:
        """A notebook with one cell, opened and run; the page waits for its live view."""
        self.open(page, code)
        for _ in range(20):
            page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
            page.keyboard.press("Shift+Enter")
            try:
                # A kernel that was still starting took nothing.
                page.wait_for_selector(".jp-InputPrompt:text-matches('[*0-9]')", timeout=5000)
                break
            except Exception:
                continue
        page.wait_for_selector(".mlaas-live", timeout=120_000)

    def open(self, page, *codes: str, place: str = "doc") -> None:
        """A notebook of these cells, its kernel idle; by itself, or at `lab` among all there is."""
        rest = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        cells = [{**rest, "id": f"cell-{i}", "source": code} for i, code in enumerate(codes)]
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        book = {"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / "book.ipynb").write_text(json.dumps(book))
        self._wait()
        page.goto(f"{self.origin}/{place}/tree/book.ipynb?token=t&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content", timeout=120_000)
        page.wait_for_selector("text=| Idle", timeout=120_000)

    def stop_kernels(self) -> None:
        with urllib.request.urlopen(f"{self.origin}/api/kernels?token=t") as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            gone = urllib.request.Request(f"{self.origin}/api/kernels/{kernel['id']}?token=t", method="DELETE")
            urllib.request.urlopen(gone).close()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.origin}/api?token=t", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "lab.log").read_text())

    def close(self) -> None:
        """End the server and its kernels; one that waits for a kernel that is gone is killed."""
        self._server.terminate()
        try:
            self._server.wait(15)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._log.close()
