"""The page's side alone, in a host that offers only what every host of widgets has: it leaves nothing behind."""

import mounted_views
import pytest
from made_records import duel, frame_of

from mlaas_lab import panels
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels.board import board
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.kernel import Compared, Kernel

pytestmark = pytest.mark.browser


@pytest.fixture
def content(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", duel(usd="0.001"))
    views = [board(*summarize(frame)), *panels.draw(frame, without=("board", "outputs"))]
    kernel = Kernel(Compared(title="bad against good", frame=frame, views=views, words=["compare", "x"]))
    return kernel.first, kernel.opening


def host(page, content, change=lambda script: script):
    first, opening = content
    given = {"content": first, "opening": opening, "place": {}}
    mounted_views.host(page, change(flat.script("comparison")), flat.style("comparison"), **given)


def test_a_hundred_mounts_leave_nothing(page, content):
    host(page, content)
    many, nodes, heard = mounted_views.left(page)
    assert (many, heard) == (0, 0)
    assert nodes <= 20
    assert page.wrong == []


def test_a_listener_that_stays_would_be_seen(page, content):
    def spoilt(script):
        changed = script.replace(
            'this.model.on("msg:custom", hear);',
            'this.model.on("msg:custom", hear); window.addEventListener("keydown", hear);',
        )
        assert changed != script
        return changed

    host(page, content, spoilt)
    assert mounted_views.left(page)[0] >= 100


def test_answers_of_no_question_change_nothing(page, content):
    host(page, content)
    page.evaluate("() => { window.mount(); document.querySelectorAll('[role=tab]').forEach((tab) => tab.click()); }")
    before = page.locator(".l-list").inner_text()
    for message in (
        None,
        3,
        "x",
        {},
        {"kind": "rows", "id": 999, "cards": []},
        {"kind": "error", "id": -1, "message": "x"},
        [],
    ):
        page.evaluate("(message) => window.tell(message)", message)
    assert page.locator(".l-list").inner_text() == before
    assert page.wrong == []


def test_system_decides_on_dark_where_no_host_does(page, content, picture):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        host(page, content)
        page.evaluate("() => { window.mount(); }")
        ground = page.locator(".mlaas-live").evaluate("e => getComputedStyle(e).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        picture(f"plain-{scheme}")


def test_motion_is_off_for_who_wants_none(page, content):
    page.emulate_media(reduced_motion="reduce")
    host(page, content)
    page.evaluate("() => { window.mount(); }")
    assert page.locator(".mlaas-live button").first.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"
