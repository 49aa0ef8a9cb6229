"""JupyterLab with the built sidebar, in a real Chromium; `make test-ui` builds, installs and runs.

The extension is found where this repository built it, so nothing of the environment changes. Pictures lie in `build/ui`.
"""

import os
import time

import pytest
from jupyter_pages import REPO
from side_lab import SideLab

PICTURES = REPO / "build" / "ui"
LINES = """
    const Real = WebSocket;
    window.lines = [];
    window.WebSocket = class extends Real {
        constructor(...words) {
            super(...words);
            if (String(words[0]).includes("mlaas_lab/changes")) window.lines.push(this);
        }
    };
"""
"""So that a test can cut the line of the sidebar, and of nothing else."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = SideLab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.stop_kernels()
    lab.close()


def answered(page):
    """A page that is left may ask whether it should be; any other dialog is wrong."""

    def answer(dialog):
        if dialog.type != "beforeunload":
            page.wrong.append(f"dialog {dialog.message}")
        dialog.accept()

    return answer


@pytest.fixture
def labs(tmp_path):
    """`labs(theme="dark")` starts another; all are stopped at the end."""
    started = []

    def start(**how) -> SideLab:
        folder = tmp_path / f"lab-{len(started)}"
        folder.mkdir()
        started.append(SideLab(folder, **how))
        return started[-1]

    yield start
    for lab in started:
        lab.close()


@pytest.fixture
def page(chromium):
    """A page that keeps what went wrong."""
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.wrong = []
    page.add_init_script(LINES)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("dialog", answered(page))
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    yield page
    page.close()


@pytest.fixture
def picture(page):
    """Keeps what is seen, under a name."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def until():
    """Wait for something that becomes true."""

    def wait(true, within_s=60.0):
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, f"not true within {within_s} s"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def axe():
    """The accessibility checker, as its package has it: https://github.com/dequelabs/axe-core."""
    place = REPO / "node_modules" / "axe-core" / "axe.min.js"
    assert place.is_file(), f"make labextension brings {os.fspath(place)}"
    return place.read_text()
