"""A job's live card in real JupyterLab: while a cell runs, stopped while one runs, without its kernel, opened again."""

import json
import re
import time

import pytest

from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.store import ALIVE

pytestmark = pytest.mark.browser
WITH_SERVER = "--ServerApp.jpserver_extensions={'mlaas_lab.server': True}"
WITHOUT_SERVER = "--ServerApp.jpserver_extensions={'mlaas_lab.server': False}"
CARD = ".mlaas-live.l-job"
BUSY = "import time\nuntil = time.time() + {}\nwhile time.time() < until: pass"


def watch(steps=400, pause_s=0.1, **more):
    words = "".join(f" --{name} {value}" for name, value in more.items())
    return f"%load_ext mlaas_lab\n%mlaas toy_curve --steps {steps} --pause-s {pause_s} --name watched{words}"


def until(true, within_s=30):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def run_cell(page, index):
    """Run one cell of the notebook."""
    page.locator(".jp-Notebook .jp-Cell .cm-content").nth(index).click()
    page.keyboard.press("Shift+Enter")


def busy(page):
    page.wait_for_selector("text=| Busy", timeout=30_000)


def said(page, part=CARD):
    return page.locator(part).inner_text()


def steps(page):
    found = re.search(r"([\d,]+)/[\d,]+ steps", said(page))
    return int(found[1].replace(",", "")) if found else 0


@pytest.fixture
def lab_with(jupyterlab, monkeypatch):
    """A JupyterLab, and the jobs of its home; none of them is left running."""
    known = []

    def start(*how):
        page = jupyterlab(*how)
        monkeypatch.setenv("HOME", str(page.folder))
        known.append(Lab())
        return page, lambda: known[-1].jobs.get("watched")

    yield start
    for lab in known:
        for job in lab.store.jobs(states=ALIVE):
            lab.jobs.cancel(job.id).wait_end(15)
        lab.store.close()


def stopped(job, within_s=20):
    until(lambda: job().state.ended, within_s)
    return job().state


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_alive_while_a_cell_runs_and_stopped_by_keyboard(page, lab_with, picture, theme):
    lab, job = lab_with(theme, WITH_SERVER)
    lab.open(page, watch(), BUSY.format(40))
    run_cell(page, 0)
    page.wait_for_selector(CARD, timeout=60_000)
    assert not page.locator(".mlaas-still").is_visible(), "the static one hides while the live one works"
    run_cell(page, 1)
    busy(page)
    before = steps(page)
    until(lambda: steps(page) > before + 5)
    page.wait_for_selector(f"{CARD} .l-frame")
    time.sleep(6)
    page.set_viewport_size({"width": 1200, "height": 1000})
    picture(f"job-{theme}-1200")
    page.set_viewport_size({"width": 700, "height": 1000})
    time.sleep(1)
    picture(f"job-{theme}-700")
    assert page.locator(CARD).evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "nothing sticks out"
    page.set_viewport_size({"width": 1200, "height": 1000})
    stop = page.locator(f"{CARD} button", has_text="Cancel")
    stop.focus()
    page.keyboard.press("Enter")
    until(lambda: "keeps what is worth keeping" in said(page))
    assert stopped(job) is JobState.CANCELLED
    page.wait_for_selector("text=| Busy", timeout=1000)
    until(lambda: "cancelled" in page.locator(f"{CARD} .l-state").inner_text())
    assert not page.locator(f"{CARD} button", has_text="Cancel").is_visible()
    picture(f"job-{theme}-cancelled")
    assert page.wrong == []


def test_without_the_server_part_the_kernel_is_asked_when_it_is_free(page, lab_with, picture):
    lab, job = lab_with("light", WITHOUT_SERVER)
    lab.open(page, watch(), BUSY.format(8))
    run_cell(page, 0)
    page.wait_for_selector(CARD, timeout=60_000)
    run_cell(page, 1)
    busy(page)
    page.locator(f"{CARD} button", has_text="Cancel").click()
    until(lambda: "mlaas cancel" in said(page))
    assert job().state is JobState.RUNNING, "a busy kernel asks nobody"
    picture("job-kernel-busy")
    assert stopped(job, 60) is JobState.CANCELLED
    until(lambda: "cancelled" in page.locator(f"{CARD} .l-state").inner_text())


def test_table_is_alive_while_a_cell_runs_and_stops_a_job(page, lab_with, picture):
    lab, job = lab_with("light", WITH_SERVER)
    lab.open(page, watch(2000), "%mlaas jobs", BUSY.format(60))
    run_cell(page, 0)
    page.wait_for_selector(CARD, timeout=60_000)
    run_cell(page, 1)
    table = page.locator(".mlaas-live.l-jobs")
    table.wait_for(timeout=60_000)
    run_cell(page, 2)
    busy(page)
    until(lambda: "running" in table.inner_text())
    before = table.locator("tbody .l-num").inner_text()
    until(lambda: table.locator("tbody .l-num").inner_text() != before)
    picture("jobs-in-a-notebook")
    table.locator(".l-stop").focus()
    page.keyboard.press("Enter")
    assert stopped(job, 30) is JobState.CANCELLED
    until(lambda: "cancelled" in table.inner_text())
    page.wait_for_selector("text=| Busy", timeout=1000)
    assert page.wrong == []


def test_opened_again_without_its_kernel_and_at_its_end(page, lab_with, picture):
    # Whoever leaves is not asked whether to save.
    page.add_init_script("addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true)")
    lab, job = lab_with("light", WITH_SERVER)
    lab.open(page, watch(1200), "%load_ext mlaas_lab\n%mlaas attach watched")
    run_cell(page, 0)
    page.wait_for_selector(CARD, timeout=60_000)
    until(lambda: steps(page) > 5)
    # The page is loaded again, the kernel lives on: the card is alive again by itself.
    page.keyboard.press("Control+s")
    until(lambda: "mlaas-still" in (lab.folder / "book.ipynb").read_text())
    page.goto("about:blank")
    page.goto(f"{lab.origin}/doc/tree/book.ipynb?token=t")
    page.wait_for_selector(CARD, timeout=60_000)
    before = steps(page)
    until(lambda: steps(page) > before + 5)
    # The kernel is gone, the job is not: the page says so, and how to come back.
    lab.stop_kernels()
    until(lambda: "No word from the kernel since" in said(page), 40)
    assert "%mlaas attach" in said(page)
    assert job().state is JobState.RUNNING
    picture("job-without-a-kernel")
    page.goto("about:blank")
    page.goto(f"{lab.origin}/doc/tree/book.ipynb?token=t")
    page.wait_for_selector("text=| Idle", timeout=120_000)
    page.wait_for_selector(".mlaas-still", timeout=60_000)
    assert not page.locator(CARD).is_visible(), "there is none without the kernel that made it"
    assert f"attach {job().id}" in said(page, ".mlaas-still")
    run_cell(page, 1)
    page.wait_for_selector(CARD, timeout=60_000)
    before = steps(page)
    until(lambda: steps(page) > before + 5)
    picture("job-attached-again")
    # At its end the notebook's file says how it ended, without a script.
    job().cancel()
    until(lambda: "cancelled" in page.locator(f"{CARD} .l-state").inner_text())
    time.sleep(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")

    def kept():
        try:
            return json.loads((lab.folder / "book.ipynb").read_text())["cells"][1]
        except ValueError:
            return {"outputs": []}  # It is being written.

    def pages():
        found = [one["data"].get("text/html", "") for one in kept()["outputs"] if "data" in one]
        return ["".join(html) for html in found if html]

    until(lambda: any("cancelled" in html for html in pages()))
    (html,) = pages()
    assert "<script" not in html
    print(f"a job that ended keeps {len(json.dumps(kept())) / 1000:.0f} kB in the notebook")
    assert len(json.dumps(kept())) < 100_000
    assert page.wrong == []
