"""A table of 10,000 jobs alone in a bare host: sorted, filtered, turned and kept up to date by the page itself."""

import mounted_views
import pytest
from mounted_views import row

pytestmark = pytest.mark.browser
TABLE = ".mlaas-live.l-jobs"
N = 10_000


def host(page, n=N):
    mounted_views.view(page, "jobs", mounted_views.jobs(n))


def ids(page):
    return page.locator(f"{TABLE} .l-open").all_inner_texts()


def test_sorted_filtered_turned_and_opened_without_a_kernel(page, picture):
    host(page)
    page.evaluate("() => { window.mount(); }")
    assert ids(page)[:2] == [f"{N - 1:08x}", f"{N - 2:08x}"], "newest first"
    assert page.locator(f"{TABLE} tbody tr").count() == 25, "what is not seen is not drawn"
    assert "10,000 jobs" in page.locator(TABLE).inner_text()
    page.locator(f"{TABLE} th button", has_text="Job").focus()
    page.keyboard.press("Enter")
    assert ids(page)[0] == f"{0:08x}"
    assert page.locator(f"{TABLE} th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.locator(f"{TABLE} select").first.select_option("failed")
    assert "3,333 of 10,000 jobs" in page.locator(TABLE).inner_text()
    page.locator(f"{TABLE} input").fill("tune-1235")
    assert ids(page) == [f"{1235:08x}"]
    page.locator(f"{TABLE} .l-open").focus()
    page.keyboard.press("Enter")
    assert "<img src=x" in page.locator(f"{TABLE} .l-detail").inner_text()
    assert page.evaluate("document.activeElement.dataset.open") == f"{1235:08x}", "who opened it stays there"
    assert page.locator(f"{TABLE} img").count() == 0
    page.locator(f"{TABLE} input").fill("")
    page.locator(f"{TABLE} [aria-label='Next page']").click()
    assert "26–50" in page.locator(TABLE).inner_text()
    for scheme in ("light", "dark"):
        for width in (1200, 700):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 1000})
            picture(f"jobs-{scheme}-{width}")
            assert page.locator(TABLE).evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "nothing sticks out"
    assert page.wrong == []


def test_what_changes_touches_its_own_row_alone(page):
    host(page, n=30)
    page.evaluate("() => { window.mount(); }")
    page.evaluate(f"() => document.querySelectorAll('{TABLE} tbody tr').forEach((row) => {{ row.before = true; }})")
    done = row(29, ("succeeded", "good"))
    page.evaluate("(changed) => window.change({ changed })", {done[0]: done, f"{28:08x}": None})
    assert ids(page)[:2] == [f"{29:08x}", f"{27:08x}"]
    first = page.locator(f"{TABLE} tbody tr").first
    assert "succeeded" in first.inner_text()
    assert first.locator("button", has_text="Cancel").count() == 0


def test_stopping_asks_the_kernel_where_there_is_no_server(page):
    host(page, n=30)
    page.evaluate("() => { window.mount(); }")
    page.locator(f"{TABLE} .l-stop").first.click()
    page.wait_for_function("window.sent.length")
    assert page.evaluate("window.sent") == [{"kind": "cancel", "id": 1, "job": f"{28:08x}"}]
    page.wait_for_selector(f"{TABLE} code:text('mlaas cancel')", timeout=10_000)
    page.evaluate("(message) => window.tell(message)", {"kind": "told", "id": 1, "said": "Done."})
    assert page.locator(f"{TABLE} .l-status").inner_text() == "Done."
