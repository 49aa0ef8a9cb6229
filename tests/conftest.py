"""Every test has a home of its own: no file, key or job of the user is seen or touched."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences, Settings
from mlaas_lab.store import ALIVE

PLUGINS = Path(__file__).parent / "plugins"
"""Another distribution, with tasks that fail in every way."""
sys.path.insert(0, str(PLUGINS))
KEYS = (
    "_KEY",
    "_KEY_ID",
    "_TOKEN",
    "_CREDENTIALS",
    "_REGION",
    "_LOCATION",
    "_PROJECT",
    "_ENDPOINT",
    "_PROXY",
    "_BUNDLE",
)
"""How variables end that a vendor's key, place or proxy may stand in."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--passed FILE`: what a long run that was stopped need not repeat."""
    parser.addoption("--passed", type=Path, help="leave out the tests that FILE names, and add those that pass")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with interrupts ignored, and so would every process of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.passed:
        config.pluginmanager.register(Passed(config.option.passed, config.rootpath))


class Passed:
    """The tests that have passed, on disk; those of another state of the code do not count."""

    def __init__(self, path: Path, root: Path) -> None:
        describe = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        state = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
        self._path = path.absolute()
        kept = path.read_text().splitlines() if path.exists() else []
        self._before = set(kept[1:]) if kept[:1] == [state] else set()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([state, *sorted(self._before), ""]))

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        done = [item for item in items if item.nodeid in self._before]
        items[:] = [item for item in items if item.nodeid not in self._before]
        config.hook.pytest_deselected(items=done)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            with self._path.open("a") as file:
                file.write(f"{report.nodeid}\n")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, seen by the processes that a test starts too."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("MLAAS_", "MLFLOW_", "XDG_")) or name.upper().endswith(KEYS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of that home."""
    return Preferences().settings()


@pytest.fixture
def lab(home: Path) -> Iterator[Lab]:
    """A lab in that home; whatever still runs at the end is stopped."""
    lab = Lab()
    yield lab
    for job in lab.store.jobs(states=ALIVE):
        lab.jobs.cancel(job.id).wait_end(15)
    lab.store.close()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for something that becomes true."""
    import time

    def wait(true: Callable[[], object], within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, f"not true within {within_s} s"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """The machine's browser, driven by Playwright; one for a whole run, since Playwright takes no second driver."""
    from jupyter_pages import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = launch(driver)
        yield browser
        browser.close()
