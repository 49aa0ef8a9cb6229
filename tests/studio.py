"""Where pictures are taken: a browser, and a JupyterLab with the sidebar in a home of its own."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Self

from jupyter_pages import REPO, launch
from playwright.sync_api import sync_playwright
from side_lab import SideLab

DATA = REPO / "notebooks" / "data"
PATIENCE_MS = 300_000
"""For whatever a busy machine is slow at."""
WIDE = 1280
"""In which pages are opened; in a narrow one JupyterLab does not say that a kernel is idle."""
HIGHEST = 8000
CARD = ".mlaas-live"
CELLS = ".jp-Notebook .jp-CodeCell"
STILL_MS = 700
"""After which a page has found its place in a new width or theme."""
DRESSED = """light => !document.querySelector("#jupyterlab-splash")
    && [undefined, String(light)].includes(document.body.dataset.jpThemeLight)"""


class Studio:
    """Where pictures are taken; `with` ends all that it has started."""

    def __init__(self, to: Path, *, themes: Sequence[str], widths: Sequence[int]) -> None:
        """Nothing is started yet."""
        self.to, self.themes, self.widths = to, themes, widths
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
        page = self._browser.new_page(viewport={"width": WIDE, "height": height}, color_scheme=self.themes[0])
        page.set_default_timeout(PATIENCE_MS)
        if url:
            page.goto(url)
        yield page
        page.close()

    def keep(self, seen: Any, name: str) -> None:
        """The picture of a page, or of the whole of a part of one, in every theme and width that is wanted."""
        page = getattr(seen, "page", seen)
        height = page.viewport_size["height"]
        alone = len(self.themes) * len(self.widths) == 1
        for theme, width in product(self.themes, self.widths):
            page.emulate_media(color_scheme=theme)
            page.wait_for_function(DRESSED, arg=theme == "light")
            self._widen(page, width, height)
            if seen is not page:
                long = int(seen.evaluate("part => part.getBoundingClientRect().height"))
                self._widen(page, width, min(max(height, long + 400), HIGHEST))
            place = self.to / (f"{name}.png" if alone else f"{name}-{theme}-{width}.png")
            seen.screenshot(path=place)
            print(place, flush=True)
        self._widen(page, WIDE, height)

    def _widen(self, page: Any, width: int, height: int) -> None:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(STILL_MS)

    @cached_property
    def lab(self) -> SideLab:
        """JupyterLab, on the jobs of this home."""
        lab = SideLab(self.folder, theme="adaptive")
        self._ends.callback(lab.close)
        self._ends.callback(lab.stop_kernels)
        return lab

    @contextmanager
    def cells(self, *codes: str, place: str = "doc") -> Iterator[Any]:
        """A notebook in which every cell was run, the last of them not to its end."""
        with self.page() as page:
            self.lab.open(page, *codes, place=place)
            for cell in page.locator(CELLS).all():
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
