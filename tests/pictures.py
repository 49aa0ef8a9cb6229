"""Takes the README's pictures anew, from real runs: `python tests/pictures.py [NAME …] [--to FOLDER]`.

A picture is a function of a `Studio`. What it needs is trained, served and loaded there; tables are the recorded runs
in `notebooks/data`. Named ones are taken also where the README does not show them; the same is seen elsewhere with
`--theme light dark --width 1280 700`.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import psutil
from studio import CARD, DATA, REPO, WIDE, Studio

from mlaas_lab.lab import Lab
from mlaas_lab.store.front import Kept
from mlaas_lab.store.ledger import Ledger
from mlaas_lab.store.spending import Charge, Hold, Kind, Payer, Wish

LOAD = "%load_ext mlaas_lab\n"
NEXT_CELL = "import time\n\ntime.sleep(600)"
PAGES = ("comparison", "slices", "latency", "cost", "review", "provenance", "decision")

PICTURES: dict[str, Callable[[Studio], None]] = {}


def picture(take: Callable[[Studio], None]) -> Callable[[Studio], None]:
    """Have `take` make the picture of its name."""
    PICTURES[take.__name__] = take
    return take


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
    line = f"%mlaas finetune --base tiny --data {studio.snapshot.name} --name support --epochs 5"
    with studio.cells(LOAD + line, NEXT_CELL) as page:
        _half_done(page)
        studio.keep(page.locator(".jp-NotebookPanel"), "job")


@picture
def endpoints(studio: Studio) -> None:
    """The card of a server that is busy."""
    import mlaas_lab as ml

    with studio.cells(studio.server) as page:
        ml.load(["support", "tiny"], rate=30, duration=40, data=studio.snapshot / "test", output_tokens=8)
        page.locator(f"{CARD}:has-text('busy')").wait_for()
        studio.keep(page.locator(CARD), "endpoints")
        page.locator(f"{CARD} header:has-text('ready')").wait_for()
        studio.keep(page.locator(CARD), "ready")


@picture
def review(studio: Studio) -> None:
    """Two answers side by side, names hidden."""
    table = studio.folder / "answers.parquet"
    both = [pl.read_parquet(DATA / f"{name}.parquet") for name in ("home", "hosted")]
    pl.concat(both, how="diagonal_relaxed").write_parquet(table)
    line = f"%mlaas review {table.name} --between 'large (emulated),medium (emulated)' --by ada --blind"
    with studio.cells(LOAD + line) as page:
        page.locator(f"{CARD} .l-card").first.wait_for()
        studio.keep(page.locator(CARD), "review")


@picture
def dashboard(studio: Studio) -> None:
    """Its overview."""
    with _dashboard() as place, studio.page(place, height=820) as page:
        page.locator(".d-main .mlaas table").first.wait_for()
        studio.keep(page, "dashboard")


@picture
def pages(studio: Studio) -> None:
    """The dashboard's other pages."""
    with _dashboard() as place, studio.page(place) as page:
        for name in PAGES:
            page.click(f"nav a[data-page={name}]")
            page.wait_for_load_state("networkidle")
            studio.keep(page.locator("body"), f"dashboard-{name}")
    with _dashboard(tables=["home"]) as place, studio.page(place) as page:
        for name in ("review", "decision"):
            page.click(f"nav a[data-page={name}]")
            page.locator(".d-main .mlaas-live, .d-main .mlaas").first.wait_for()
            studio.keep(page.locator("body"), f"dashboard-{name}-run")


@picture
def login(studio: Studio) -> None:
    """The dashboard's door: before, with a wrong password, and after."""
    people = studio.folder / "people.json"
    people.write_text('{"ada": "correct horse"}', encoding="utf-8")
    people.chmod(0o600)
    with _dashboard("--auth", f"basic:{people}") as place, studio.page(place) as page:
        studio.keep(page, "login")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button").click()
        page.get_by_role("alert").wait_for()
        studio.keep(page, "login-wrong")
        page.goto(f"{place.rstrip('/')}/logout")
        studio.keep(page, "logout")


@picture
def sidebar(studio: Studio) -> None:
    """Jobs, endpoints, evaluations and spend, beside a notebook that trains."""
    assert studio.server
    line = f"%mlaas finetune --base tiny --data {studio.snapshot.name} --name refunds --epochs 8"
    with studio.cells(LOAD + line, place="lab") as page:
        page.click('[data-id="mlaas-lab"]')
        page.locator("#mlaas-lab .mlaas-Section:has-text('Endpoints') li").first.wait_for()
        _half_done(page)
        studio.keep(page, "sidebar")


@picture
def launcher(studio: Studio) -> None:
    """What JupyterLab offers at first."""
    with studio.page() as page:
        studio.lab.show(page)
        page.locator(".jp-LauncherCard", has_text="Review dashboard").locator("img, svg").wait_for()
        studio.keep(page, "launcher")


@picture
def jobs(studio: Studio) -> None:
    """The live table of jobs, and the form of a task."""
    assert studio.server
    with studio.cells(f"{LOAD}%mlaas jobs", "%mlaas form finetune") as page:
        for n, name in enumerate(("jobs", "form")):
            page.locator(CARD).nth(n).wait_for()
            studio.keep(page.locator(CARD).nth(n), name)


@picture
def comparison(studio: Studio) -> None:
    """The live comparison of seven candidates."""
    tables = [f"{name}.parquet" for name in ("home", "hosted")]
    for name in tables:
        shutil.copy(DATA / name, studio.folder / name)
    with studio.cells(f"{LOAD}%mlaas compare {' '.join(tables)}") as page:
        page.locator(f"{CARD} svg").first.wait_for()
        studio.keep(page.locator(CARD), "comparison")


@picture
def cost(studio: Studio) -> None:
    """What a week cost, made up, and a month of traffic with its break-even."""
    _spend_a_week(Lab().settings.ledger_path)
    tables = " ".join(str(DATA / f"{name}.parquet") for name in ("load", "hosted"))
    with studio.cells(f"{LOAD}%mlaas cost", f"%mlaas plan {tables} --requests-per-day 20000") as page:
        outputs = page.locator(".jp-OutputArea-output .mlaas")
        outputs.nth(1).wait_for()
        for n, name in enumerate(("cost", "plan")):
            studio.keep(outputs.nth(n), name)


@picture
def sick(studio: Studio) -> None:
    """The card of a server that has stopped to answer, beside the sidebar."""
    with studio.cells(studio.server, place="lab") as page:
        page.click('[data-id="mlaas-lab"]')
        page.locator(f"{CARD} table").first.wait_for()
        servers = [one for one in psutil.process_iter(["cmdline"]) if _serves(one, studio.folder)]
        for one in servers:
            one.suspend()
        try:
            page.locator(f"{CARD} header:has-text('sick')").wait_for()
            page.locator("#mlaas-lab [data-job]:has-text('sick')").first.wait_for()
            studio.keep(page, "sick")
        finally:
            for one in servers:
                one.resume()


@picture
def sleeping(studio: Studio) -> None:
    """The last one: of a server that was put to sleep, its live card and the one that stays."""
    with studio.cells(studio.server) as page:
        page.locator(f"{CARD} table").first.wait_for()
        lab = Lab()
        (job,) = (one for one in lab.store.jobs(task="serve") if not one.state.ended)
        kept = Kept(lab.settings)
        kept.make()
        kept.asleep(job.id, job.attempt)
        lab.jobs.cancel(job.id).wait_end(60)
        page.locator(f"{CARD} .l-state:has-text('sleeping')").wait_for()
        studio.keep(page.locator(CARD), "sleeping")
        page.locator(CARD).evaluate("card => card.remove()")
        studio.keep(page.locator(".mlaas-still"), "sleeping-still")


def _half_done(page: Any) -> None:
    page.locator(f"{CARD} figure path").first.wait_for()
    page.wait_for_function(f"parseFloat(document.querySelector('{CARD} .l-done')?.style.width) > 40")


def _serves(process: psutil.Process, home: Path) -> bool:
    named = any("_transformers_server" in word for word in process.info["cmdline"] or ())
    return named and Path(process.cwd()).is_relative_to(home)


@contextmanager
def _dashboard(*options: str, tables: Sequence[str] = ("home", "hosted")) -> Iterator[str]:
    """One of the recorded runs, by its address."""
    paths = [str(DATA / f"{one}.parquet") for one in tables]
    words = [sys.executable, "-m", "mlaas_lab.cli", "dashboard", *paths, *options]
    known = {**os.environ, "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=known)
    try:
        told = process.stderr.readline() if process.stderr else ""
        yield re.findall(r"http://\S+", told)[0]
    finally:
        process.terminate()
        process.wait()


def _spend_a_week(place: Path) -> None:
    with closing(Ledger(place)) as ledger:
        for ago in range(7, 0, -1):
            spent = {
                Kind.TRAINING: 0.9 * (ago % 3),
                Kind.SERVING_BUSY: 1.1,
                Kind.SERVING_IDLE: 0.2 * ago,
                Kind.API: 0.4,
            }
            charges = [
                Charge(kind=kind, target="support", spent=int(usd * 1e6), n=40, source="setting usd_per_hour")
                for kind, usd in spent.items()
            ]
            with patch("time.time", return_value=time.time() - ago * 86_400):
                hold = Hold(id=0, payer=Payer(job="", project="support"), kind=Kind.API, target="", amount=0, at=0)
                ledger.draw(hold, charges, Wish(over=True))


def main() -> None:
    """Those that are named, or those that the README shows."""
    shown = re.findall(r"notebooks/images/(\w+)\.png", (REPO / "README.md").read_text(encoding="utf-8"))
    words = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    words.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME", help=", ".join(PICTURES))
    words.add_argument("--to", type=Path, default=REPO / "notebooks" / "images")
    words.add_argument("--theme", choices=["light", "dark"], nargs="+", default=["light"])
    words.add_argument("--width", type=int, nargs="+", default=[WIDE])
    options = words.parse_args()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)  # whatever ends it, what it started ends too
    options.to.mkdir(parents=True, exist_ok=True)
    with Studio(options.to, themes=options.theme, widths=options.width) as studio:
        for name, take in PICTURES.items():  # in this order: what one has trained, another shows
            if name in (options.names or shown):
                take(studio)


if __name__ == "__main__":
    main()
