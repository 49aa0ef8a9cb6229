"""The review dashboard in a real browser: pages, filters in the address, a review, a signature, both themes."""

import os
import re
import subprocess
import sys

import polars as pl
import pytest
from jupyter_pages import REPO
from made_cases import table
from made_records import record

pytestmark = pytest.mark.browser
SCROLLS = """() => {
  const within = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? within(e.shadowRoot) : [])]);
  const scrolls = (e) => e.querySelector("table") && e.scrollWidth > e.clientWidth + 1;
  return within(document).filter(scrolls).map((e) => e.className);
}"""
"""What around a table has more than it shows."""
PAGES = ("overview", "comparison", "slices", "latency", "cost", "review", "provenance", "decision")


@pytest.fixture
def serve(home, tmp_path, page):
    """`serve("--rule", …)` starts one over two targets and comes in; all are stopped at the end."""
    started = []

    def start(*words, several=None):
        path = table(tmp_path, several)
        known = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}
        line = [sys.executable, "-m", "mlaas_lab.cli", "dashboard", str(path), *words]
        started.append(subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=known))
        told = started[-1].stderr.readline()
        assert "ctrl-C" in told, told + started[-1].stderr.read()
        page.goto(url := re.search(r"http://\S+", told)[0])
        return url.partition("?")[0]

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
        process.stderr.close()


@pytest.fixture
def errors(page):
    found = []
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    return found


def at(page, words):
    page.wait_for_selector(f"text={words}", timeout=30_000)


def go(page, name):
    page.click(f"nav a[data-page={name}]")
    page.wait_for_selector(f"nav a[data-page={name}][aria-current]")


def test_pages_filters_and_the_address(page, serve, errors):
    url = serve()
    page.goto(url)
    at(page, "good is better than bad")
    for name in PAGES:
        go(page, name)
        page.wait_for_url(f"**/?page={name}")
    go(page, "cost")
    page.click("summary:has-text('Target')")
    page.click("label:has-text('good')")
    at(page, "40 of 80 records")
    page.wait_for_url("**/?page=cost&target=good")
    page.reload()
    at(page, "40 of 80 records")
    assert page.get_attribute("nav a[data-page=cost]", "aria-current") == "page"
    assert page.locator(".mlaas").get_by_text("bad", exact=True).count() == 0
    page.click("text=Clear")
    page.wait_for_selector(".mlaas >> text=bad")
    page.go_back()
    at(page, "40 of 80 records")
    page.go_back()
    page.wait_for_selector(".mlaas >> text=bad")
    assert (page.wrong, errors) == ([], [])
    own = url.rstrip("/")
    assert [one for one in page.asked if not one.startswith((own, own.replace("http", "ws"), "data:", "blob:"))] == []


def test_a_number_leads_to_its_answers_a_review_is_judged_and_a_decision_signed(page, serve, errors):
    page.goto(f"{serve()}?page=comparison")
    page.click("[role=tab]:has-text('Answers')")
    page.wait_for_selector(".l-card")
    go(page, "review")
    page.fill("input[type=text]", "ada")
    page.click("text=Begin, or go on")
    page.wait_for_selector(".l-review .l-card")
    page.locator(".l-review .l-card").focus()
    page.keyboard.press("1")
    at(page, "1 of 40 samples judged")
    page.reload()
    page.fill("input[type=text]", "ada")
    page.click("text=Begin, or go on")
    at(page, "1 of 40 samples judged")
    go(page, "decision")
    page.select_option("select", label="good")
    page.fill("input[type=text]", "ada")
    page.fill("textarea", "better, and no dearer")
    page.click("button:has-text('Sign')")
    page.wait_for_selector(".mlaas >> text=better, and no dearer")
    at(page, "verified")
    assert (page.wrong, errors) == ([], [])


@pytest.mark.parametrize("width", [1280, 700, 390])
def test_every_page_in_both_themes(page, serve, errors, picture, width):
    page.set_viewport_size({"width": width, "height": 900})
    url = serve()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for name in PAGES:
            page.goto(f"{url}?page={name}")
            page.wait_for_selector(f"nav a[data-page={name}][aria-current]")
            page.wait_for_selector(".d-main :is(.mlaas, .mlaas-live)")
            picture(f"dashboard-{name}-{theme}-{width}")
            seen = page.evaluate("document.documentElement.scrollWidth")
            assert seen <= width, f"{name} is wider than the page"
            assert page.evaluate(SCROLLS) == [], f"a table of {name} scrolls sideways"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
        assert dark == (theme == "dark")
    page.click("text=Theme: system")
    page.click("text=Theme: light")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert (page.wrong, errors) == ([], [])


def test_what_came_since_waits_until_it_is_asked_for(page, serve, tmp_path, errors, picture):
    page.goto(f"{serve()}?page=review")
    page.fill("input[type=text]", "a name that is being typed")
    path = tmp_path / "records.parquet"
    pl.concat([pl.read_parquet(path), pl.read_parquet(path).with_columns(repeat=1)]).write_parquet(path)
    at(page, "80 new answers")
    picture("dashboard-news")
    assert page.input_value("input[type=text]") == "a name that is being typed"
    page.click("button:has-text('80 new answers')")
    at(page, "160 records")
    page.wait_for_selector("nav a[data-page=review][aria-current]")
    assert page.locator("button:has-text('new answers')").count() == 0
    assert (page.wrong, errors) == ([], [])


def test_on_paper_no_table_is_cut(page, home, tmp_path, picture):
    """At the width of a page of A4 within its margins, with names and figures as long as they come."""
    names = "bedrock/anthropic.claude-haiku?region=eu-west-1", "openai/gpt-mini?temperature=0"
    right = [record(t, i, "yes" if i % 3 else t[:1], "yes", usd="0.0021") for i in range(60) for t in names]
    made = tmp_path / "review.html"
    words = [sys.executable, "-m", "mlaas_lab.cli", "dashboard", table(tmp_path, right), "--export", made]
    subprocess.run([*map(str, words)], check=True, capture_output=True)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})
    page.goto(made.as_uri())
    picture("dashboard-paper")
    wide = "[...document.querySelectorAll('main, table, pre')].filter((e) => e.getBoundingClientRect().right > 689)"
    assert page.evaluate(f"{wide}.map((e) => e.textContent.slice(0, 80))") == []
    assert page.evaluate("[...document.querySelectorAll('thead')].every((e) => e.getClientRects().length > 0)")


def test_a_login_is_asked_for_and_signs(page, serve, tmp_path):
    known = tmp_path / "people.json"
    known.write_text('{"grace": "hopper"}')
    known.chmod(0o600)
    url = serve("--auth", f"basic:{known}")
    page.goto(url)
    assert "/login" in page.url
    page.fill("input[name=username]", "grace")
    page.fill("input[name=password]", "hopper")
    page.keyboard.press("Enter")
    at(page, "good is better than bad")
    go(page, "decision")
    assert page.input_value("input[type=text]") == "grace"
    assert page.is_disabled("input[type=text]")
