"""Every live view and its static copy beside the sidebar, in both themes: no serious finding of axe-core.

https://github.com/dequelabs/axe-core; findings of lesser weight are printed.
"""

import json

import pytest
from made_records import duel, file_of

pytestmark = pytest.mark.browser
LIVE = ".mlaas-live"
CELLS = (
    "%load_ext mlaas_lab\n%mlaas compare records.parquet",
    "%mlaas toy_curve --steps 40 --pause-s 0.05 --name curve",
    "%mlaas jobs",
    "%mlaas form finetune",
    "%mlaas compare records.parquet --static",
)
ENDPOINTS = """
from mlaas_lab.lab import Lab
from mlaas_lab.view import endpoints
from mlaas_lab.widgets import content
from mlaas_lab.widgets.job import JobWidget
card = JobWidget(Lab().jobs.get("curve"))
one = {"name": "support", "model": "support-lora", "engine": "transformers", "base_url": "http://127.0.0.1:1/v1", "ready": True}
card.now = {**card.now, "parts": content.sections([endpoints.view([one, {**one, "state": "sick"}])])}
card
"""
FOUND = """async (all) => (await axe.run({ include: all.map((one) => [one]) })).violations
  .map((one) => ({ id: one.id, impact: one.impact, where: one.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3) }))"""
PLACES = [LIVE, ".mlaas", "#mlaas-lab"]


def run_all(page, n):
    for i in range(n):
        page.locator(".jp-Notebook .jp-Cell .cm-content").nth(i).click()
        page.keyboard.press("Shift+Enter")
    page.wait_for_function(f"document.querySelectorAll('{LIVE}').length >= {n - 1}", timeout=120_000)
    page.wait_for_function(
        "![...document.querySelectorAll('.jp-InputPrompt')].some((one) => one.textContent.includes('*'))",
        timeout=120_000,
    )


def weighty(found):
    return [one for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_keeps_anybody_out(page, labs, axe, picture, theme):
    # The system says the opposite: JupyterLab's theme decides.
    page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
    page.set_viewport_size({"width": 1400, "height": 6500})  # what is out of sight is not looked at
    lab = labs(theme=theme)
    file_of(lab.folder / "records.parquet", duel(usd="0.001"))
    lab.book(*CELLS, ENDPOINTS)
    lab.show(page, "lab/tree/book.ipynb")
    page.wait_for_selector("text=| Idle", timeout=120_000)
    run_all(page, len(CELLS) + 1)
    page.locator("text=succeeded").locator("visible=true").first.wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.evaluate("document.querySelectorAll('.mlaas-live summary, .mlaas summary').forEach((one) => one.click())")
    page.evaluate(axe)
    found = page.evaluate(FOUND, PLACES)
    print("\n".join(json.dumps(one) for one in found) or "nothing found")
    assert weighty(found) == []
    tabs = page.locator(f"{LIVE} [role=tab]")
    for i in range(tabs.count()):
        tabs.nth(i).click()
        page.wait_for_timeout(300)
        assert weighty(page.evaluate(FOUND, [LIVE])) == [], tabs.nth(i).inner_text()
    picture(f"{theme}-all-views")
    assert page.wrong == []
    page.evaluate(f"document.querySelector('{LIVE}').append(document.createElement('button'))")
    assert "button-name" in {one["id"] for one in weighty(page.evaluate(FOUND, [LIVE]))}, (
        "the control: one without a name"
    )
