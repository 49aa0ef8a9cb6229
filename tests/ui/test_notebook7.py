"""Notebook 7: the same extension and the same live views; where a part is missing, what is said.

`make test-ui` installs it into `.venv-notebook`, apart from JupyterLab's environment.
"""

import pytest
from made_jobs import made
from side_lab import Notebook7

pytestmark = pytest.mark.browser
SIDE = "#mlaas-lab"
CARD = ".mlaas-live.l-job"
CELL = "%load_ext mlaas_lab\n%mlaas toy_curve --steps 60 --pause-s 0.1 --name classic"


@pytest.fixture
def notebooks(tmp_path):
    """`notebooks(served=False)` starts one; all are stopped at the end."""
    started = []

    def start(**how):
        folder = tmp_path / f"notebook-{len(started)}"
        folder.mkdir()
        started.append(Notebook7(folder, **how))
        return started[-1]

    yield start
    for one in started:
        one.close()


def opened(page, notebook):
    """Its page; what is wrong there without our extension is not ours, and forgotten."""
    notebook.book(CELL)
    notebook._wait()
    link = notebook.folder / "share" / "labextensions" / "mlaas_lab"
    built = link.readlink()
    link.unlink()
    page.goto(f"{notebook.origin}/notebooks/book.ipynb?token=t")
    page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content", timeout=120_000)
    page.wait_for_timeout(2000)
    assert page.locator(".lm-MenuBar-item", has_text="Jobs").count() == 0
    notebook.others = set(page.wrong)
    link.symlink_to(built)
    page.goto(f"{notebook.origin}/notebooks/book.ipynb?token=t")
    page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content", timeout=120_000)
    page.locator(".lm-MenuBar-item", has_text="Jobs").wait_for(timeout=60_000)


def by_menu(page, label):
    """The jobs of the sidebar, by the menu: Notebook 7 has no strip of icons at its side."""
    page.locator(".lm-MenuBar-item", has_text="Jobs").click()
    page.locator(".lm-Menu-itemLabel", has_text=label).first.click()


def test_card_and_sidebar_while_a_cell_runs(page, notebooks, until, picture):
    notebook = notebooks()
    opened(page, notebook)
    by_menu(page, "Jobs, endpoints and spend")
    page.wait_for_selector(f"{SIDE}:visible", timeout=30_000)
    page.wait_for_timeout(3000)  # its kernel starts
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(CARD, timeout=120_000)
    page.wait_for_selector(f"{SIDE} .mlaas-name:text-is('classic')", timeout=60_000)
    until(lambda: "succeeded" in page.locator(f"{CARD} .l-state").inner_text())
    until(lambda: page.locator(f"{SIDE} li[data-state=succeeded]").count() == 1)
    picture("notebook7")
    assert set(page.wrong) <= notebook.others


def test_without_the_server_part_it_says_so(page, notebooks, picture):
    notebook = notebooks(served=False)
    with notebook.store() as store:
        store.add(made("unseen"))
    opened(page, notebook)
    by_menu(page, "Jobs, endpoints and spend")
    page.wait_for_selector(f"{SIDE} .mlaas-notice:has-text('server part')", timeout=30_000)
    assert page.locator(f"{SIDE} li[data-job]").count() == 0
    picture("notebook7-without-the-server-part")
    assert set(page.wrong) <= notebook.others
