"""All pages as one file: a page without a script, or a PDF that a browser prints of it."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mlaas_lab import report
from mlaas_lab.dashboard.case import Case
from mlaas_lab.dashboard.pages import pages
from mlaas_lab.dashboard.where import Where
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.view import View

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")
PRINT_S = 120
LAST = "provenance"
"""The report ends with it, under a heading of its own."""


def views(case: Case) -> list[View]:
    """A section for each page, of all records; the verdict's words come first."""
    cut = case.cut(Where())
    known = pages()
    order = [name for name in known if name != LAST]
    found = []
    for name in order:
        parts = known[name].views(cut)
        own = parts[0].title in ("", known[name].title)
        lead, rest = (parts[0], parts[1:]) if own else (View(title=""), parts)
        found.append(replace(lead, title=known[name].title, children=[*lead.children, *rest]))
    # What leads to these numbers is written by the report itself.
    return [*found, View(title=known[LAST].title, children=known[LAST].views(cut)[:-1])]


def write(case: Case, path: Path) -> Path:
    """The file at `path`, whole or not at all.

    Raises:
        UsageError: if its name ends neither in .html nor in .pdf, or nothing here prints PDF.
        DataError: if it cannot be written.
    """
    kind = path.suffix.lower()
    if kind in (".html", ".htm"):
        return report.write(path, views(case), case.provenance)
    if kind != ".pdf":
        raise UsageError(f"--export {path.name} ends neither in .html nor in .pdf.")
    return _printed(browser(), path, lambda page: report.write(page, views(case), case.provenance))


def browser(named: Sequence[str] = BROWSERS) -> str:
    """A browser that prints.

    Raises:
        UsageError: if there is none.
    """
    found = next((where for name in named if (where := shutil.which(name))), None)
    if found is None:
        raise UsageError(
            "a PDF is printed by Chromium, and none is installed.",
            next="Export .html: any browser prints it, as it has styles for paper.",
        )
    return found


def _printed(program: str, path: Path, written: Callable[[Path], Path]) -> Path:
    with tempfile.TemporaryDirectory(prefix="mlaas-print-") as folder:
        page, made = written(Path(folder) / "review.html"), Path(folder) / "review.pdf"
        # Its own sandbox cannot be had as root; the page has no script and may fetch nothing.
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        words += ["--disable-background-networking", f"--user-data-dir={folder}/profile"]
        try:
            subprocess.run(
                [*words, f"--print-to-pdf={made}", page.as_uri()], check=True, capture_output=True, timeout=PRINT_S
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.part")
            shutil.copyfile(made, beside)
            beside.replace(path)
        except (OSError, subprocess.SubprocessError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise DataError(
                f"{path} cannot be printed: {reason}.", next="Export .html and print it from a browser."
            ) from None
    return path
