"""The page's side alone, in a host that offers only what every host of widgets has: it leaves nothing behind."""

import mounted_views
import pytest
from mounted_views import spoilt

pytestmark = pytest.mark.browser
KEPT = {
    "comparison": spoilt(
        'this.model.on("msg:custom", hear);',
        'this.model.on("msg:custom", hear); window.addEventListener("keydown", hear);',
    ),
    "form": spoilt("    keptKeys(this.root, signal);", '    addEventListener("keydown", () => this.typed());'),
    "job": spoilt("listen() {", 'listen() {\n    addEventListener("keydown", () => this.show());'),
    "jobs": spoilt("    keptKeys(this.root, this.signal);", '    addEventListener("keydown", () => this.draw());'),
}
"""Each view with a listener that nobody takes away."""


@pytest.fixture
def states(lab, tmp_path):
    """What each view begins with."""
    return {
        "comparison": lambda: mounted_views.comparison(tmp_path),
        "form": lambda: mounted_views.form(lab),
        "job": mounted_views.job,
        "jobs": lambda: mounted_views.jobs(30),
    }


@pytest.mark.parametrize("name", sorted(mounted_views.SCRIPTS))
def test_a_hundred_mounts_leave_nothing(page, states, name):
    mounted_views.view(page, name, states[name]())
    many, nodes, heard = mounted_views.left(page)
    assert (many, heard) == (0, 0)
    assert nodes <= 20
    assert page.wrong == []
    mounted_views.view(page, name, states[name](), KEPT[name])
    assert mounted_views.left(page)[0] >= 100, "the control: a listener that stays is seen"


def test_answers_of_no_question_change_nothing(page, tmp_path):
    mounted_views.view(page, "comparison", mounted_views.comparison(tmp_path))
    page.evaluate("() => { window.mount(); document.querySelectorAll('[role=tab]').forEach((tab) => tab.click()); }")
    before = page.locator(".l-list").inner_text()
    strange = [{"kind": "rows", "id": 999, "cards": []}, {"kind": "error", "id": -1, "message": "x"}]
    for message in (None, 3, "x", {}, [], *strange):
        page.evaluate("(message) => window.tell(message)", message)
    assert page.locator(".l-list").inner_text() == before
    assert page.wrong == []


def test_system_decides_on_dark_where_no_host_does(page, tmp_path, picture):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        mounted_views.view(page, "comparison", mounted_views.comparison(tmp_path))
        page.evaluate("() => { window.mount(); }")
        ground = page.locator(".mlaas-live").evaluate("e => getComputedStyle(e).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        picture(f"plain-{scheme}")


def test_motion_is_off_for_who_wants_none(page, tmp_path):
    page.emulate_media(reduced_motion="reduce")
    mounted_views.view(page, "comparison", mounted_views.comparison(tmp_path))
    page.evaluate("() => { window.mount(); }")
    assert page.locator(".mlaas-live button").first.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"
