"""A job's card alone in a bare host: what the kernel sends touches only what differs."""

import mounted_views
import pytest
from mounted_views import CHART, FOUND, TABLE, now

pytestmark = pytest.mark.browser
CARD = ".mlaas-live.l-job"


def host(page):
    mounted_views.view(page, "job", mounted_views.job())


def test_what_has_the_focus_keeps_it_while_everything_changes(page):
    host(page)
    page.evaluate("() => { window.mount(); }")
    page.locator(f"{CARD} summary", has_text="The numbers").click()
    page.locator(f"{CARD} summary", has_text="The numbers").focus()
    other = {**FOUND, "table": {**TABLE, "rows": [{"cells": [["2"]], "opens": {}}]}}
    page.evaluate("(changed) => window.change(changed)", {"now": now(50), "found": [other]})
    assert page.locator(f"{CARD} td").inner_text() == "2"
    assert page.locator(f"{CARD} td").is_visible(), "what was open stays open"
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert "50/100 steps" in page.locator(CARD).inner_text()


def test_what_is_said_is_text_and_links_lead_to_pages_only(page):
    word = "<img src=x onerror=document.title='owned'>"
    host(page)
    page.evaluate("() => { window.mount(); }")
    told = now(
        state=(word, "bad"),
        log=word,
        links=[["run", "javascript:document.title='owned'"], ["page", "https://x.example/"]],
    )
    told["marks"] = [{"kind": "facts", "rows": [[word, word]]}, {"kind": "code", "title": word, "text": word}]
    found = {**FOUND, "title": word, "summary": word, "marks": [{**CHART, "title": word}], "notes": [word]}
    page.evaluate("(changed) => window.change(changed)", {"now": told, "found": [found]})
    assert page.locator(f"{CARD} img").count() == 0
    assert page.locator(f"{CARD} a").count() == 1
    assert page.title() == ""
    assert page.locator(CARD).inner_text().count(word) >= 7
    page.evaluate("(message) => window.tell(message)", {"kind": "told", "id": 0, "said": "nobody asked"})
    assert "nobody asked" not in page.locator(CARD).inner_text()


def test_progress_says_its_number_to_who_does_not_see_it(page):
    host(page)
    page.evaluate("() => { window.mount(); }")
    bar = page.locator(f"{CARD} [role=progressbar]")
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuetext")) == ("1", "1/100 steps")
    unknown = {"kind": "progress", "title": "reading", "at": None, "tone": "busy", "text": "3 rows · time left unknown"}
    page.evaluate("(changed) => window.change(changed)", {"now": now() | {"marks": [unknown]}})
    assert page.locator(f"{CARD} [role=progressbar]").get_attribute("aria-valuenow") is None
