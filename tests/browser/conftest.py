"""Real JupyterLab in a real Chromium, used as somebody without a mouse uses it.

`make test-browser` installs Playwright into a folder of its own; the browser is the machine's. Screenshots lie in
`build/browser`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
sys.path.append(str(REPO / ".venv-browser"))
PICTURES = REPO / "build" / "browser"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
GC = ["--js-flags=--expose-gc", "--enable-precise-memory-info"]


@pytest.fixture(scope="session")
def chromium():
    """The machine's browser, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    place = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert place, "no chromium here; CHROMIUM says which browser"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=place, args=[*FLAGS, *GC])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page that keeps what went wrong and what it asked for."""
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.wrong, page.asked = [], []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("dialog", lambda dialog: (page.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


class Lab:
    """A JupyterLab with notebooks of one cell."""

    def __init__(self, folder: Path, *, theme: str) -> None:
        self.folder = folder
        self.settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        self.settings.mkdir(parents=True)
        self._set("themes", {"theme": f"JupyterLab {theme.title()}"})
        self._set("notification", {"fetchNews": "false", "checkForUpdates": False})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.origin = f"http://127.0.0.1:{probe.getsockname()[1]}"
        path = os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])
        own = {"HOME": str(folder), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "PYTHONPATH": path}
        words = [
            f"--port={self.origin.rpartition(':')[2]}", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1",
            "--IdentityProvider.token=t", "--no-browser", "--allow-root",
        ]  # fmt: skip
        self._log = (folder / "lab.log").open("w")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words], env={**os.environ, **own}, stdout=self._log, stderr=self._log
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

    def open(self, page, *codes: str) -> None:
        """A notebook of these cells, its kernel idle."""
        rest = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        cells = [{**rest, "id": f"cell-{i}", "source": code} for i, code in enumerate(codes)]
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        book = {"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / "book.ipynb").write_text(json.dumps(book))
        self._wait()
        page.goto(f"{self.origin}/doc/tree/book.ipynb?token=t")
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
        self._server.terminate()
        self._server.wait()
        self._log.close()


@pytest.fixture
def jupyterlab(home):
    """`jupyterlab("dark")` starts one; all are stopped at the end."""
    started = []

    def start(theme: str = "light") -> Lab:
        folder = home / f"lab-{len(started)}"
        folder.mkdir()
        started.append(Lab(folder, theme=theme))
        return started[-1]

    yield start
    for lab in started:
        lab.close()


@pytest.fixture
def picture(page):
    """Keeps what is seen, under a name."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=PICTURES / f"{name}.png")
