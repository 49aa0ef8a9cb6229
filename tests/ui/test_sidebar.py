"""The sidebar: what it shows while a cell runs, after the kernel died, over a reload and a lost line."""

import re
import time
from statistics import median

import pytest
from hostile import MARKUP
from made_jobs import made
from side_lab import lags

from mlaas_lab.schema import Endpoint, EndpointState, JobState, Progress, Work

pytestmark = pytest.mark.browser
SIDE = "#mlaas-lab"
SHOWN = f"""() => [...document.querySelectorAll('{SIDE} .mlaas-Section:first-of-type li')]
    .map(row => [row.dataset.job, row.dataset.state])"""
CELLS = (
    "%load_ext mlaas_lab\njob = %mlaas toy --steps 3000 --pause-s 0.1 --name {name}\nprint(job.id)",
    "import time; time.sleep(600)",
)


def row(page, job_id):
    return page.locator(f"{SIDE} li[data-job='{job_id}']").first


def cut(page):
    """Cut the line, and let no other be dialled."""
    page.route("**/mlaas_lab/**", lambda route: route.abort())
    page.evaluate("window.lines.forEach(line => line.close())")


def heal(page):
    page.unroute("**/mlaas_lab/**")


def run(page, cell, until):
    """Run that cell; a kernel that is still starting takes nothing."""

    def taken():
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").nth(cell).click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1000)
        return re.search(r"[*0-9]", page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").nth(cell).inner_text())

    until(taken)


def started(page, lab, name, until):
    """A job that a cell submitted, while the next cell runs on."""
    lab.book(*(cell.format(name=name) for cell in CELLS))
    lab.show(page, "lab/tree/book.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content", timeout=120_000)
    page.wait_for_selector("text=| Idle", timeout=120_000)
    run(page, 0, until)
    page.wait_for_selector(f"{SIDE} .mlaas-name:text-is('{name}')", timeout=120_000)
    run(page, 1, until)
    with lab.store() as store:
        job = store.jobs(name=name)[0]
        until(lambda: store.job(job.id).state is JobState.RUNNING)
    return job.id


def test_cancel_while_a_cell_runs_and_go_on_after_the_kernel_died(page, lab, until, picture):
    job_id = started(page, lab, "first", until)
    with lab.store() as store:
        until(lambda: re.search(r"\d+/3,000 steps", row(page, job_id).inner_text()))
        assert page.locator(".jp-InputPrompt:text-is('[*]:')").count(), "the kernel is busy"
        row(page, job_id).hover()
        row(page, job_id).locator("button[title^=Cancel]").click()
        until(lambda: store.job(job_id).state is JobState.CANCELLED)
        until(lambda: row(page, job_id).get_attribute("data-state") == "cancelled")
        assert page.locator(".jp-InputPrompt:text-is('[*]:')").count(), "and still is"
    page.wait_for_selector("text=first cancelled")
    picture("cancelled-while-a-cell-runs")
    lab.stop_kernels()
    job_id = started(page, lab, "second", until)
    lab.stop_kernels()
    until(lambda: re.search(r"\d+/3,000 steps", row(page, job_id).inner_text()))
    far = re.search(r"\d+/3,000 steps", row(page, job_id).inner_text())[0]
    until(lambda: far not in row(page, job_id).inner_text())
    with lab.store() as store:
        assert store.job(job_id).state is JobState.RUNNING, "the control: it is the kernel that died, not the job"
        row(page, job_id).hover()
        row(page, job_id).locator("button[title^=Cancel]").click()
        until(lambda: store.job(job_id).state is JobState.CANCELLED)


def test_a_change_is_seen_within_half_a_second(page, lab):
    lab.show(page)
    with lab.store() as store:
        took = lags(page, store)
    print(
        f"a change is seen after {1000 * median(took):.0f} ms (median), {1000 * max(took):.0f} ms (worst of {len(took)})"
    )
    assert median(took) < 0.5, took
    assert page.evaluate("window.appeared.nobody") is None, "the control: only what is in the store is seen"


def test_a_reloaded_page_shows_the_jobs_as_they_are(page, lab, until):
    lab.show(page)
    with lab.store() as store:
        store.add(made("v1"))
        row(page, "v1").wait_for()
        page.locator(f"{SIDE} h3 button", has_text="Endpoints").click()
        time.sleep(2)  # JupyterLab keeps its layout a second after it changed
        store.move("v1", JobState.FAILED, attempt=1, why="broken")
        page.goto(f"{lab.origin}/lab?token=t")
        page.wait_for_selector(f"{SIDE}:visible", timeout=120_000)
        row(page, "v1").wait_for()
        now = [[job.id, str(job.state)] for job in store.jobs(limit=50)]
        until(lambda: page.evaluate(SHOWN) == now)
    assert page.locator(f"{SIDE} h3 button", has_text="Endpoints").get_attribute("aria-expanded") == "false"


def test_a_lost_line_comes_back_and_misses_nothing(page, lab, until, picture):
    lab.show(page)
    with lab.store() as store:
        store.add(made("w1"))
        store.add(made("w3"))
        row(page, "w1").wait_for()
        cut(page)
        page.wait_for_selector(f"{SIDE} .mlaas-notice:visible")
        store.add(made("w2"))
        store.move("w1", JobState.RUNNING, attempt=1)
        store.move("w1", JobState.SUCCEEDED, attempt=1)
        store.move("w3", JobState.CANCELLED, attempt=1)
        store.forget("w3", attempt=1)
        time.sleep(1)
        assert row(page, "w1").get_attribute("data-state") == "queued", "the control: a page without a line cannot know"
        assert row(page, "w3").count() == 1
        picture("lost-line")
        heal(page)
        until(lambda: page.evaluate(SHOWN) == [[job.id, str(job.state)] for job in store.jobs(limit=50)])
        page.wait_for_selector("text=w1 succeeded")
        assert not page.locator(f"{SIDE} .mlaas-notice").is_visible()
        for n in range(10):
            page.evaluate("window.lines.forEach(line => line.close())")
            store.add(made(f"w4{n}"))
            until(lambda: page.evaluate("window.lines.some(line => line.readyState === 1)"))
        until(lambda: page.evaluate(SHOWN) == [[job.id, str(job.state)] for job in store.jobs(limit=50)])


def test_a_page_that_nobody_looks_at_hangs_up(page, lab, until):
    looked = "seen => { Object.defineProperty(document, 'hidden', { value: !seen, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }"
    lines = "window.lines.filter(line => line.readyState === 1).length"
    page.clock.install()
    lab.show(page)
    until(lambda: page.evaluate(lines) == 1)
    page.evaluate(looked, False)
    page.clock.fast_forward(20_000)
    assert page.evaluate(lines) == 1, "somebody may come back soon"
    page.clock.fast_forward(15_000)
    until(lambda: page.evaluate(lines) == 0)
    with lab.store() as store:
        store.add(made("z1"))
        page.evaluate(looked, True)
        row(page, "z1").wait_for()


def filled(store):
    """Jobs of every kind, with what somebody would like to have run."""
    for n, text in enumerate(MARKUP):
        store.add(made(f"x{n}", name=text, task="toy"))
        store.move(f"x{n}", JobState.FAILED, attempt=1, why=text)
    store.add(made("y1", name="support"))
    store.move("y1", JobState.RUNNING, attempt=1)
    store.update("y1", attempt=1, progress=Progress(n=3, total=9, at=1.0, rate=2.0, phase=MARKUP[0]), run_id="r1")
    endpoint = Endpoint(
        name=MARKUP[6], job_id="y1", base_url="http://127.0.0.1:1/v1", model="m", engine="x", ready=True,
        source=MARKUP[6], state=EndpointState.READY,
    )  # fmt: skip
    store.announce(endpoint, attempt=1)


def test_text_of_jobs_is_text(page, lab, until):
    lab.show(page)
    with lab.store() as store:
        filled(store)
        row(page, "y1").wait_for()
        row(page, "x3").locator(".mlaas-head").click()
        until(lambda: "</title>" in row(page, "x3").locator(".mlaas-error").inner_text())
        store.move("y1", JobState.FAILED, attempt=1, why=MARKUP[6])
        page.wait_for_selector(".Toastify__toast", timeout=20_000)
        page.click('[data-id="jp-running-sessions"]')
        time.sleep(1)
        page.click('[data-id="mlaas-lab"]')
    assert page.locator(f"{SIDE} :is(img, script, iframe, style, math, form, details)").count() == 0
    assert page.wrong == []
    page.evaluate(f"document.querySelector('{SIDE}').insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')")
    page.wait_for_timeout(1000)
    assert any("dialog" in wrong for wrong in page.wrong), "the control: as markup it runs"


def test_an_endpoint_says_what_it_does_and_its_buttons_stay(page, lab, until):
    lab.show(page)
    line = page.locator(f"{SIDE} .mlaas-Row:has-text('busy-one') .mlaas-line").first
    with lab.store() as store:
        store.add(made("z1", task="serve", name="z"))
        store.move("z1", JobState.RUNNING, attempt=1)
        place = {"base_url": "http://127.0.0.1:1/v1", "engine": "x", "ready": True, "source": "m"}
        for name in ("busy-one", "other"):
            one = Endpoint(name=name, job_id="z1", model=name, state=EndpointState.BUSY, **place)
            store.announce(one, attempt=1)
        until(lambda: line.inner_text() == "busy · http://127.0.0.1:1/v1")
        line.locator("xpath=ancestor::li").locator("button").first.focus()
        did = Work(at=time.time(), running=3.0, waiting=1.0, usd_per_hour=0.4, by_model={"busy-one": 137.2})
        store.note_work("z1", did, attempt=1)
        until(lambda: "137 tokens/s · server: 3 under way, 1 wait, $0.40/h ·" in line.inner_text())
        assert page.evaluate("document.activeElement.title").startswith("Stop"), "what has the focus keeps it"
        store.note_work("z1", Work(at=time.time() - 600), attempt=1)
        until(lambda: line.inner_text() == "busy · 10 min ago · http://127.0.0.1:1/v1")
        store.move("z1", JobState.CANCELLED, attempt=1)


def test_a_sick_server_is_red_in_both_lists_and_shows_no_rate_of_before(page, lab, until):
    lab.show(page)
    with lab.store() as store:
        store.add(made("s1", task="serve", name="s"))
        store.move("s1", JobState.RUNNING, attempt=1)
        place = {"base_url": "http://127.0.0.1:1/v1", "engine": "x", "ready": False, "source": "m"}
        store.announce(Endpoint(name="ill", job_id="s1", model="ill", state=EndpointState.SICK, **place), attempt=1)
        store.note_work("s1", Work(at=time.time(), by_model={"ill": 103.0}), attempt=1)
        store.update("s1", attempt=1, progress=Progress(n=2, total=2, at=time.time(), phase="sick"))
        until(lambda: row(page, "s1").locator(".mlaas-line").inner_text().startswith("sick · "))
        assert not row(page, "s1").locator(".mlaas-bar").is_visible()
        ill = page.locator(f"{SIDE} .mlaas-Row:has-text('ill')").first
        assert ill.locator(".mlaas-line").inner_text() == "sick · http://127.0.0.1:1/v1"
        seen = [
            one.locator(".mlaas-shape").evaluate("e => getComputedStyle(e).color") for one in (ill, row(page, "s1"))
        ]
        store.move("s1", JobState.FAILED, attempt=1, why="dead")
        until(lambda: row(page, "s1").get_attribute("data-state") == "failed")
        assert seen == 2 * [row(page, "s1").locator(".mlaas-shape").evaluate("e => getComputedStyle(e).color")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_in_both_themes(page, labs, axe, until, picture, theme):
    lab = labs(theme=theme)
    with lab.store() as store:
        filled(store)
    lab.show(page)
    row(page, "y1").wait_for()
    row(page, "x1").locator(".mlaas-head").click()
    page.evaluate(axe)
    found = f"async () => (await axe.run('{SIDE}')).violations.map(one => [one.id, one.nodes[0].html])"
    assert page.evaluate(found) == []
    picture(f"{theme}-sidebar")
    # By keyboard alone: into the list, open a row, and what it can do.
    page.locator(f"{SIDE} .mlaas-filter").focus()
    page.keyboard.type("support")
    until(lambda: page.evaluate(SHOWN) == [["y1", "running"]])
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "mlaas-head"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.title").startswith("Cancel")
    assert page.wrong == []
    page.evaluate(f"document.querySelector('{SIDE}').append(document.createElement('button'))")
    assert "button-name" in dict(page.evaluate(found)), "the control: a button without a name"


def test_without_the_server_part_it_says_so_and_nothing_fails(page, labs, picture):
    labs(served=False).show(page)
    page.wait_for_selector(f"{SIDE} .mlaas-notice:has-text('server part')")
    picture("without-the-server-part")
    assert page.wrong == []
    page.locator(f"{SIDE} .mlaas-notice button").click()
    page.wait_for_timeout(1000)
    assert any("404" in wrong for wrong in page.wrong), "the control: what is wrong is heard of"
