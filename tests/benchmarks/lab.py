"""How soon `make lab` is a page that one can work in, with the environment in place.

python tests/benchmarks/lab.py [--times 3]

It runs the make target as somebody types it, opens the page in a headless browser, and waits until the notebook can be
typed into and the sidebar has its line to the server. Only what was started here is ended.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))


def answers(origin: str, process: subprocess.Popen, within_s: float = 120) -> None:
    """Wait until the server does."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{origin}/api?token=t", timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("make lab did not come up")


def once(browser) -> tuple[float, float]:
    """Seconds from the command to an answer, and to a usable page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{probe.getsockname()[1]}"
    words = f"--no-browser --allow-root --port={origin.rpartition(':')[2]} --ServerApp.ip=127.0.0.1 --IdentityProvider.token=t"
    with tempfile.TemporaryDirectory() as home:
        own = {"HOME": home, "MLAAS_DATA_DIR": f"{home}/data", "PATH": os.environ["PATH"]}
        began = time.monotonic()
        process = subprocess.Popen(
            ["make", "lab", f"ARGS={words}"], cwd=ROOT, env=own, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        page = browser.new_page()
        try:
            answers(origin, process)
            up_s = time.monotonic() - began
            page.goto(f"{origin}/lab/tree/01_quickstart.ipynb?token=t")
            page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content", timeout=120_000)
            page.wait_for_selector('[data-id="mlaas-lab"]', timeout=120_000)
            page.wait_for_selector(".mlaas-Status button:not([title*='no line'])", timeout=120_000)
            return up_s, time.monotonic() - began
        finally:
            page.close()
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def main() -> None:
    """Print the table."""
    from jupyter_pages import launch
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=3)
    with sync_playwright() as driver:
        browser = launch(driver)
        took = [once(browser) for _ in range(options.parse_args().times)]
        browser.close()
    for name, several in zip(("server answers", "page usable"), zip(*took, strict=True), strict=True):
        print(f"make lab, {name}: {statistics.median(several):.1f} s ({min(several):.1f} to {max(several):.1f})")


if __name__ == "__main__":
    main()
