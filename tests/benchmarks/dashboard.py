"""How long a change of page or filter takes in the review dashboard's own process, over a large table of records.

    python tests/benchmarks/dashboard.py [--rows 100000] [--keep FOLDER]

The table is that of the panels' benchmark: 4 targets, 2 metrics, 5 groups. Each page is opened first for filters that
nobody has chosen before (new), then again. Shown: until the reader sees that the click counts, by the page or by the
word that it is being worked out. Whole: until all figures are there. Exit code 1 if a click takes longer than promised.
"""

import argparse
import os
import queue
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import panels as large
from panel.io.location import Location

from mlaas_lab.commands import dashboard
from mlaas_lab.dashboard.app import WORKING, Session, Site
from mlaas_lab.lab import Lab

PROMISED_S = 0.3


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="folder whose table is used again, and made where it is missing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (args.keep or Path(folder)) / f"{args.rows}-5.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            large.make(path, args.rows, 5)
        began = time.perf_counter()
        results = measure(path)
        total = time.perf_counter() - began
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {args.rows:,} records; all of it {total:.1f} s\n")
    print(f"{'page':<32}{'new: shown':>12}{'whole':>12}{'again':>12}")
    for page, *took in results:
        print(f"{page:<32}" + "".join(f"{1000 * one:>9.0f} ms" for one in took))
    slow = [page for page, shown, _, again in results if max(shown, again) > PROMISED_S]
    if slow:
        print(f"longer than {1000 * PROMISED_S:.0f} ms: {', '.join(slow)}")
    return len(slow)


if __name__ == "__main__":
    sys.exit(main())
