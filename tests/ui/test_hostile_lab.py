"""Every live view and the sidebar in a real JupyterLab, every text in them hostile: nothing runs, nobody is asked."""

import pytest
from canary import KNOWN, STRANGE, TOUCHED, WALK, Canary, Watched
from hostile_cells import words
from jupyter_pages import REPO
from made_jobs import made

from mlaas_lab.schema import Endpoint, EndpointState, JobState

pytestmark = pytest.mark.browser
SIDE = "#mlaas-lab"
LIVE = ".mlaas-live"
FIRST = f"import sys; sys.path.append({str(REPO / 'tests')!r}); import hostile_cells as h; o = {{origin!r}}\n"


@pytest.fixture(scope="module")
def canary():
    with Canary() as canary:
        yield canary


@pytest.fixture
def watched(page, canary):
    canary.asked.clear()
    return Watched(page, canary)


def shown(page, lab, canary, code, selector):
    """Run one cell, and what it shows is there."""
    lab.open(page, FIRST.format(origin=canary.origin) + code)
    watched_from = len(page.wrong)
    for _ in range(20):
        page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1000)
        if page.locator(".jp-InputPrompt:text-matches('[*0-9]')").count():
            break
    page.wait_for_selector(selector, timeout=120_000)
    page.wait_for_selector(".jp-InputPrompt:text-matches('\\\\[[0-9]')", timeout=120_000)
    assert page.wrong[watched_from:] == []


def elsewhere(watched, lab):
    """What was asked of anybody but JupyterLab."""
    watched.own += (lab.origin, lab.origin.replace("http", "ws"))
    watched.asked[:] = [url for url in watched.asked if not url.startswith(watched.own)]
    assert watched.asked == []
    return watched.settled()


def test_comparison(page, lab, canary, watched):
    shown(page, lab, canary, "n = h.comparison(o); print(n)", LIVE)
    tabs = page.locator(f"{LIVE} [role=tab]")
    for i in range(tabs.count()):
        tabs.nth(i).click()
        page.evaluate(TOUCHED, LIVE)
        assert page.evaluate(STRANGE, [LIVE, KNOWN]) == []
    page.evaluate("() => [...document.querySelectorAll('.mlaas-live [role=tab]')].pop().click()")
    page.wait_for_selector(f"{LIVE} .l-card")
    walked = page.evaluate(WALK, [LIVE, KNOWN])
    assert walked["found"] == []
    assert walked["seen"] >= 700
    assert elsewhere(watched, lab) == []


def test_cards_and_endpoints(page, lab, canary, watched):
    shown(page, lab, canary, "h.cards(o)", f"{LIVE}.l-job")
    page.wait_for_timeout(1000)
    page.evaluate(TOUCHED, LIVE)
    assert page.evaluate(STRANGE, [LIVE, KNOWN]) == []
    text = page.evaluate(f"[...document.querySelectorAll('{LIVE}')].map((e) => e.textContent).join()")
    known = [word for word in words(canary.origin) if word.isprintable()]
    assert len(known) > 500
    there = [word for word in known if " ".join(word.split()) in " ".join(text.split())]
    assert len(there) >= 0.95 * len(known), "they are there as text"
    assert elsewhere(watched, lab) == []


def test_table_of_jobs(page, lab, canary, watched):
    shown(page, lab, canary, "n = h.table(o); print(n)", f"{LIVE}.l-jobs")
    walked = page.evaluate(WALK, [LIVE, KNOWN])
    assert walked["found"] == []
    assert walked["seen"] == len(words(canary.origin))
    assert elsewhere(watched, lab) == []


TYPED = """([value]) => document.querySelectorAll(".mlaas-live input").forEach((field) => {
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def test_form(page, lab, canary, watched, until):
    shown(page, lab, canary, "h.form()", f"{LIVE}.l-form")
    several = words(canary.origin)
    for i in range(0, len(several), 40):
        page.evaluate(TYPED, [f"turn {i}: {' '.join(several[i : i + 40])}"])
        until(lambda i=i: f"turn {i}:" in page.locator(f"{LIVE} .l-wrong").inner_text().replace("\u00a0", " "))
        assert page.evaluate(STRANGE, [LIVE, KNOWN]) == []
    assert elsewhere(watched, lab) == []


def test_static_outputs(page, lab, canary, watched):
    formula = "from IPython.display import HTML, display; display(HTML('<p id=math>$x^2$ of $y$</p>')); h.stills(o)"
    shown(page, lab, canary, formula, ".mlaas")
    page.wait_for_selector("#math mjx-container")
    page.wait_for_timeout(2000)
    page.evaluate(TOUCHED, ".mlaas")
    assert page.evaluate(STRANGE, [".mlaas", KNOWN]) == []
    assert page.locator(".mlaas mjx-container").count() == 0, "money is no formula"
    assert elsewhere(watched, lab) == []


def test_the_control_a_card_that_takes_text_for_markup(page, lab, canary, watched):
    lab.open(page, FIRST.format(origin=canary.origin) + "h.spoilt(o)")
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(f"{LIVE}.l-job, .jp-OutputArea-output", timeout=60_000)
    watched.settled(3000)
    assert watched.ran or watched.spoke or canary.asked


def filled(store, several):
    for n, word in enumerate(several):
        store.add(made(f"h{n}", name=word, task="toy"))
        if n % 10 == 0:
            store.move(f"h{n}", JobState.FAILED, attempt=1, why="\n".join(several[n : n + 10]))
    store.add(made("serving", name="serving"))
    store.move("serving", JobState.RUNNING, attempt=1)
    for n, word in enumerate(several[::10]):
        text = " ".join(several[10 * n : 10 * n + 10])
        served = Endpoint(
            name=word, job_id="serving", base_url=text, model=word, engine=word, ready=True, source=text, state=EndpointState.READY
        )  # fmt: skip
        store.announce(served, attempt=1)


def test_sidebar(page, labs, canary, watched, until):
    lab = labs()
    several = words(canary.origin)
    with lab.store() as store:
        filled(store, several)
        lab.show(page)
        list_ = page.locator(f"{SIDE} .mlaas-Section").first
        until(lambda: list_.locator("li").count() >= 50)
        while list_.locator("button", has_text="Show more").is_visible():
            list_.locator("button", has_text="Show more").click()
        until(lambda: list_.locator("li").count() == len(several) + 1)
        page.evaluate(
            f"document.querySelectorAll('{SIDE} li[data-state=failed] .mlaas-head').forEach((head) => head.click())"
        )
        page.wait_for_timeout(3000)
        page.evaluate(TOUCHED, f"{SIDE} .mlaas-list")
        assert page.evaluate(STRANGE, [f"{SIDE} .mlaas-list", KNOWN]) == []
        for n in range(1, 100, 10):
            store.move(f"h{n}", JobState.FAILED, attempt=1, why=several[n])
        page.wait_for_selector(".Toastify__toast", timeout=20_000)
        page.click('[data-id="jp-running-sessions"]')
        page.wait_for_timeout(1500)
    assert elsewhere(watched, lab) == []
    assert page.wrong == []
