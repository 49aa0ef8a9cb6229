"""Makes the README's pictures anew, from real runs: `python tests/pictures.py [NAME …] [--to FOLDER]`.

A picture is a function of a `Studio`, which has a browser and a JupyterLab with the sidebar, in a home of its own. What
a picture needs is trained, served and loaded there; tables are the recorded runs in `notebooks/data`. The same is seen
elsewhere with `--theme dark --width 700`.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl
from jupyter_pages import REPO, launch
from playwright.sync_api import sync_playwright
from side_lab import SideLab

DATA = REPO / "notebooks" / "data"
PATIENCE_MS = 300_000
"""For whatever a busy machine is slow at."""
CARD = ".mlaas-live"
NEXT_CELL = "import time\n\ntime.sleep(600)"

PICTURES: dict[str, Callable[["Studio"], None]] = {}


def picture(take: Callable[["Studio"], None]) -> Callable[["Studio"], None]:
    """Have `take` make the picture of its name."""
    PICTURES[take.__name__] = take
    return take


class Studio:
    """Where pictures are taken; `with` ends all that it has started."""

    def __init__(self, to: Path, *, theme: str, width: int) -> None:
        """Nothing is started yet."""
        self.to, self.theme, self.width = to, theme, width
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory()))
        home = {"HOME": str(self.folder), "MLAAS_DATA_DIR": str(self.folder / "data"), "MLAAS_USD_PER_HOUR": "0.40"}
        os.environ.update(home)
        self._browser = launch(self._ends.enter_context(sync_playwright()))
        self._ends.callback(self._browser.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @contextmanager
    def page(self, url: str = "", *, height: int = 900) -> Iterator[Any]:
        """A page of the browser."""
        page = self._browser.new_page(viewport={"width": self.width, "height": height}, color_scheme=self.theme)
        page.set_default_timeout(PATIENCE_MS)
        if url:
            page.goto(url)
        yield page
        page.close()

    def keep(self, seen: Any, name: str, **how: Any) -> None:
        """The picture of a page, or of a part of one."""
        seen.screenshot(path=self.to / f"{name}.png", **how)
        print(self.to / f"{name}.png", flush=True)

    @cached_property
    def lab(self) -> SideLab:
        """JupyterLab, on the jobs of this home."""
        lab = SideLab(self.folder, theme=self.theme)
        self._ends.callback(lab.close)
        self._ends.callback(lab.stop_kernels)
        return lab

    @contextmanager
    def cells(self, *codes: str) -> Iterator[Any]:
        """A notebook in which every cell was run, the last of them not to its end, without what stands around it."""
        with self.page() as page:
            self.lab.open(page, *codes)
            for cell in page.locator(".jp-Notebook .jp-CodeCell").all():
                cell.locator(".cm-content").click()
                page.keyboard.press("Shift+Enter")
                cell.locator(".jp-InputPrompt:text-matches('[*0-9]')").wait_for()
            yield page
        self.lab.stop_kernels()

    @cached_property
    def snapshot(self) -> Path:
        """The support messages, split."""
        import mlaas_lab as ml

        self._ends.callback(ml.cancel, "all")
        ml.data_check(DATA / "support.jsonl", out=self.folder / "support", test=0.2)
        ml.tiny(wait=True)
        return self.folder / "support"

    @cached_property
    def server(self) -> str:
        """The cell that has served tiny and its fine-tune already."""
        import mlaas_lab as ml

        ml.finetune(base="tiny", data=self.snapshot, name="support", epochs=5).result()
        ml.serve(["tiny", "support"], probe_s=2, wait=True)
        return "%load_ext mlaas_lab\n%mlaas serve tiny support --probe-s 2"


@picture
def report(studio: Studio) -> None:
    """The report of two targets."""
    import mlaas_lab as ml

    table = studio.folder / "records.parquet"
    names = {f"{name} (recorded)": name for name in ("tiny", "support")}
    both = pl.read_parquet(DATA / "home.parquet").filter(pl.col("target").is_in(list(names)))
    both.with_columns(pl.col("target").replace(names)).write_parquet(table)
    ml.compare([str(table)], html=studio.folder / "report.html")
    with studio.page(f"file://{studio.folder}/report.html", height=760) as page:
        studio.keep(page, "report")


@picture
def load(studio: Studio) -> None:
    """The load curve with its knee."""
    import mlaas_lab as ml

    ml.compare([str(DATA / "load.parquet")], html=studio.folder / "load.html")
    with studio.page(f"file://{studio.folder}/load.html", height=640) as page:
        page.locator("h2:text-is('Load')").evaluate("title => title.scrollIntoView()")
        studio.keep(page, "load")


@picture
def job(studio: Studio) -> None:
    """A fine-tune that runs on while the next cell runs."""
    line = f"%load_ext mlaas_lab\n%mlaas finetune --base tiny --data {studio.snapshot.name} --name support --epochs 5"
    with studio.cells(line, NEXT_CELL) as page:
        page.locator(f"{CARD} figure path").first.wait_for()
        page.wait_for_function(f"parseFloat(document.querySelector('{CARD} .l-done')?.style.width) > 40")
        studio.keep(page.locator(".jp-NotebookPanel"), "job")


@picture
def endpoints(studio: Studio) -> None:
    """The card of a server that is busy."""
    import mlaas_lab as ml

    with studio.cells(studio.server) as page:
        ml.load(["support", "tiny"], rate=12, duration=60, data=studio.snapshot / "test", output_tokens=8)
        page.locator(f"{CARD}:has-text('busy')").wait_for()
        studio.keep(page.locator(CARD), "endpoints")


@picture
def review(studio: Studio) -> None:
    """Two answers side by side, names hidden."""
    table = studio.folder / "answers.parquet"
    both = [pl.read_parquet(DATA / f"{name}.parquet") for name in ("home", "hosted")]
    pl.concat(both, how="diagonal_relaxed").write_parquet(table)
    with studio.cells(
        f"%load_ext mlaas_lab\n%mlaas review {table.name} --between 'large (emulated),medium (emulated)' --by ada --blind"
    ) as page:
        page.locator(f"{CARD} .l-card").first.wait_for()
        studio.keep(page.locator(CARD), "review")


@picture
def dashboard(studio: Studio) -> None:
    """Its overview."""
    words = [
        sys.executable,
        "-m",
        "mlaas_lab.cli",
        "dashboard",
        str(DATA / "home.parquet"),
        str(DATA / "hosted.parquet"),
    ]
    known = {**os.environ, "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=known)
    try:
        told = process.stderr.readline() if process.stderr else ""
        with studio.page(re.findall(r"http://\S+", told)[0], height=820) as page:
            page.locator(".d-main .mlaas table").first.wait_for()
            studio.keep(page, "dashboard")
    finally:
        process.terminate()
        process.wait()


@picture
def sidebar(studio: Studio) -> None:
    """Jobs, endpoints, evaluations and spend."""
    assert studio.server
    with studio.page() as page:
        studio.lab.show(page)
        page.locator("#mlaas-lab .mlaas-Section:has-text('Endpoints') li").first.wait_for()
        studio.keep(page.locator("#mlaas-lab"), "sidebar")


def main() -> None:
    """Those that are named, or all."""
    words = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    words.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME", help=", ".join(PICTURES))
    words.add_argument("--to", type=Path, default=REPO / "notebooks" / "images")
    words.add_argument("--theme", choices=["light", "dark"], default="light")
    words.add_argument("--width", type=int, default=1200)
    options = words.parse_args()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)  # whatever ends it, what it started ends too
    options.to.mkdir(parents=True, exist_ok=True)
    with Studio(options.to, theme=options.theme, width=options.width) as studio:
        for name, take in PICTURES.items():  # in this order: what one has trained, another shows
            if name in (options.names or PICTURES):
                take(studio)


if __name__ == "__main__":
    main()
