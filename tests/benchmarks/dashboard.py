"""How long a change of page or filter takes in the review dashboard, over a large table of records.

    PYTHONPATH=.venv-browser python tests/benchmarks/dashboard.py [--rows 100000] [--keep FOLDER] [--no-browser]

The table is that of the panels' benchmark: 4 targets, 2 metrics, 5 groups. Each page is opened first for filters that
nobody has chosen before (new), then again. Shown: until the reader sees that the click counts, by the page or by the
word that it is being worked out. Whole: until all figures are there. Then the same in a real Chromium: from the click to
the frame that shows the page. Exit code 1 if a click takes longer than promised.
"""

import argparse
import os
import queue
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import panels as large
from panel.io.location import Location

from mlaas_lab.commands import dashboard
from mlaas_lab.dashboard.app import WORKING, Session, Site
from mlaas_lab.dashboard.pages import NAMES
from mlaas_lab.lab import Lab

PROMISED_S = 0.3
COMPARISON_S = 0.5
"""Until the comparison is seen first."""
SLICE_S = 1.0
"""Until the overview of a slice that nobody has looked at is whole."""
PAINTED = """([name, working]) => new Promise((done) => {
  const within = (root) => [...root.querySelectorAll("*")].flatMap((e) => (e.shadowRoot ? [e, ...within(e.shadowRoot)] : [e]));
  const shown = () => within(document.querySelector("main")).find((e) => e.matches(".mlaas, .mlaas-live"));
  const link = within(document.body).find((e) => e.matches(`nav a[data-page=${name}]`));
  const before = shown(), began = performance.now();
  const look = () => {
    const now = shown();
    const there = now && now !== before && !now.textContent.startsWith(working);
    requestAnimationFrame(there ? () => setTimeout(() => done((performance.now() - began) / 1000)) : look);
  };
  link.click();
  look();
})"""
"""Seconds from a click to the frame that shows the page."""


class Document:
    """A browser's document, as far as a session knows it."""

    def __init__(self) -> None:
        self.later: queue.Queue[Callable[[], None]] = queue.Queue()

    def add_next_tick_callback(self, call: Callable[[], None]) -> None:
        self.later.put(call)


def click(session: Session, **said: object) -> tuple[float, float]:
    """Seconds until something is shown, and until all is."""
    began = time.perf_counter()
    session._asked(said)
    if WORKING in str(getattr(session.body[0], "object", "")):
        session.document.later.get()()
    return session.took_s, time.perf_counter() - began


def measure(path: Path) -> list[tuple[str, float, float, float]]:
    """Page, seconds until it is shown and whole when it is new, and when it is known."""
    case = dashboard._case(dashboard.DashboardArgs(runs=(str(path),)), Lab())
    site = Site(case=case)
    session = Session(site, Location())
    session.document = Document()
    found = []
    other = {"overview": "cost"}
    for title, slices in (("", []), (", one slice of five", [0])):
        for page in site.pages:
            new = click(session, page=page, slice=slices)
            click(session, page=other.get(page, "overview"), slice=slices)
            found.append((page + title, *new, click(session, page=page, slice=slices)[1]))
    return found


def in_a_browser(path: Path) -> list[tuple[str, float, float]]:
    """Page, seconds from the click until it is painted the first time, and again."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from jupyter_pages import launch
    from playwright.sync_api import sync_playwright

    words = [sys.executable, "-m", "mlaas_lab.cli", "dashboard", str(path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        url = re.search(r"http://\S+", server.stderr.readline())[0]
        page = launch(driver).new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_selector("main .mlaas h2")
        names = [*(one for one in NAMES if one != "overview"), "overview"]
        first, again = ({name: page.evaluate(PAINTED, [name, WORKING]) for name in names} for _ in range(2))
        server.terminate()
    return [(name, first[name], again[name]) for name in first]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="folder whose table is used again, and made where it is missing")
    parser.add_argument("--no-browser", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (args.keep or Path(folder)) / f"{args.rows}-5.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            large.make(path, args.rows, 5)
        began = time.perf_counter()
        results = measure(path)
        total = time.perf_counter() - began
        seen = [] if args.no_browser else in_a_browser(path)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {args.rows:,} records; all of it {total:.1f} s\n")
    print(f"{'page':<32}{'new: shown':>12}{'whole':>12}{'again':>12}")
    for page, *took in results:
        print(f"{page:<32}" + "".join(f"{1000 * one:>9.0f} ms" for one in took))
    kept = [said("a page changes", max(max(shown, again) for _, shown, _, again in results), PROMISED_S)]
    sliced = max(whole for page, _, whole, _ in results if page.startswith("overview,"))
    kept.append(said("a slice's first overview is whole", sliced, SLICE_S))
    if seen:
        print(f"\n{'in Chromium, click to paint':<32}{'first':>12}{'again':>12}")
        for page, *took in seen:
            print(f"{page:<32}" + "".join(f"{1000 * one:>9.0f} ms" for one in took))
        first = next(first for page, first, _ in seen if page == "comparison")
        kept.append(said("the comparison is first painted", first, COMPARISON_S))
        kept.append(said("a page changes, painted", max(again for _, _, again in seen), PROMISED_S))
    return kept.count(False)


def said(what: str, took_s: float, promised_s: float) -> bool:
    """Prints whether a promise holds."""
    holds = took_s <= promised_s
    told = "holds" if holds else "does not hold"
    print(f"{what}: {1000 * took_s:.0f} ms, promised {1000 * promised_s:.0f} ms: {told}")
    return holds


if __name__ == "__main__":
    sys.exit(main())
