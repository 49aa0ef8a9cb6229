"""Every page of the dashboard and a review, in both themes and two widths: no serious finding of axe-core, no error.

https://github.com/dequelabs/axe-core; the review is looked at in the dashboard and alone in a bare host.
"""

import json

import mounted_views
import pytest
from made_cases import table
from made_records import duel, file_of

from mlaas_lab.commands import _dispatch
from mlaas_lab.dashboard.pages import NAMES
from mlaas_lab.lab import Lab
from mlaas_lab.reviewing import Desk
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.reviewed import Reviewed

pytestmark = pytest.mark.browser
WEIGHTY = """async () => (await axe.run()).violations.filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => ({ id: one.id, where: one.nodes.map((node) => [node.target, node.html.slice(0, 160), node.any.map((why) => why.message)]).slice(0, 3) }))"""
THEMES, WIDTHS = ("light", "dark"), (1280, 700)


@pytest.fixture
def dashboard(home, tmp_path):
    lab = Lab()
    shown = _dispatch.execute(["dashboard", str(table(tmp_path))], lab)
    yield shown
    shown.stop()
    lab.store.close()


def begun(page):
    """The review of two targets, in the dashboard."""
    page.fill("input[type=text]", "ada")
    page.click("text=Begin, or go on")
    page.wait_for_selector(".l-review .l-card")


def found(page, axe):
    page.evaluate(axe)
    return [json.dumps(one) for one in page.evaluate(WEIGHTY)]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_of_the_dashboard_keeps_anybody_out(page, dashboard, axe, theme, width):
    page.set_viewport_size({"width": width, "height": 2500})  # what is out of sight is not looked at
    page.emulate_media(color_scheme=theme)
    page.goto(dashboard.url)
    url = dashboard.url.partition("?")[0]
    for name in NAMES:
        page.goto(f"{url}?page={name}")
        page.wait_for_selector(f"nav a[data-page={name}][aria-current]")
        page.wait_for_selector(".d-main :is(.mlaas, .mlaas-live)")
        if name == "review":
            begun(page)
        assert found(page, axe) == [], name
        for tab in page.locator("[role=tab]").all():
            tab.click()
            assert found(page, axe) == [], (name, tab.inner_text())
    page.click("summary:has-text('Target')")
    assert found(page, axe) == [], "an open filter"
    assert page.wrong == []
    page.locator("nav a").first.evaluate("(link) => link.parentElement.append(document.createElement('button'))")
    assert "button-name" in found(page, axe)[0], "the control: one without a name, in a host's shadow"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_review_keeps_anybody_out(page, settings, axe, tmp_path, theme, width):
    desk = Desk(table=file_of(tmp_path / "records.parquet", duel(usd="0.001")), settings=settings)
    reviewed = Reviewed(desk, desk.sit(by="ada", between=("bad", "good"), blind=True), ["review", "records.parquet"])
    state = json.loads(json.dumps({"content": reviewed.content, "now": reviewed.now()}))
    page.set_viewport_size({"width": width, "height": 2500})
    page.emulate_media(color_scheme=theme)
    mounted_views.host(page, flat.script("review"), flat.style("review"), **state)
    page.evaluate(
        """(theme) => {
            document.documentElement.lang = "en";
            document.title = "A review";
            document.body.style = theme === "dark" ? "background: #15181c; color: #e4e7eb" : "background: #ffffff; color: #1b1f24";
            window.mount();
        }""",
        theme,
    )
    page.wait_for_selector(".l-review .l-card")
    assert found(page, axe) == []
    assert page.wrong == []
    page.evaluate("document.querySelector('.l-review').append(document.createElement('button'))")
    assert "button-name" in found(page, axe)[0], "the control: one without a name"
