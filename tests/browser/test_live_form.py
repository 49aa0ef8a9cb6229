"""A task's form: alone in a bare host, and in real JupyterLab, where the Spec answers while one types."""

import time

import mounted_views
import pytest

from mlaas_lab.lab import Lab

pytestmark = pytest.mark.browser
FORM = ".mlaas-live.l-form"


def until(true, within_s=60):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_typed_is_asked_and_what_does_not_fit_is_shown_at_its_field(page, lab, picture):
    mounted_views.view(page, "form", mounted_views.form(lab))
    page.evaluate("() => { window.mount(); }")
    assert page.locator(f"{FORM} .l-twin").inner_text() == "%mlaas finetune"
    assert page.locator(f"{FORM} .l-wrong").inner_text() == "", "nothing is wrong before somebody begins"
    page.get_by_label("rank", exact=False).first.fill("many")
    page.wait_for_function("window.sent.length")
    (asked,) = page.evaluate("window.sent")
    assert asked == {"kind": "typed", "id": 1, "values": {"rank": "many"}}
    wrong = {
        "kind": "checked",
        "id": 1,
        "line": "%mlaas finetune --rank many",
        "wrong": "--rank 'many': <b>no</b>",
        "field": "rank",
    }
    page.evaluate("(message) => window.tell(message)", {**wrong, "id": 99, "wrong": "of another question"})
    assert page.locator(f"{FORM} .l-wrong").inner_text() == ""
    page.evaluate("(message) => window.tell(message)", wrong)
    assert page.locator(f"{FORM} .l-wrong").inner_text() == "--rank 'many': <b>no</b>"
    assert page.locator(f"{FORM} [aria-invalid=true]").get_attribute("name") == "rank"
    assert page.locator(f"{FORM} .l-twin").inner_text() == "%mlaas finetune --rank many"
    for scheme in ("light", "dark"):
        for width in (1200, 700):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 1100})
            picture(f"form-{scheme}-{width}")
            assert page.locator(FORM).evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "nothing sticks out"
    assert page.wrong == []


def test_filled_in_and_run_by_keyboard(page, jupyterlab, monkeypatch, picture):
    lab = jupyterlab()
    lab.run(page, "%load_ext mlaas_lab\n%mlaas form toy")
    page.locator(f"{FORM} [name=steps]").focus()
    page.keyboard.type("two")
    until(lambda: "--steps 'two'" in page.locator(f"{FORM} .l-wrong").inner_text())
    picture("form-wrong")
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    until(lambda: page.locator(f"{FORM} .l-twin").inner_text() == "%mlaas toy --steps 2")
    assert page.locator(f"{FORM} .l-wrong").inner_text() == ""
    page.keyboard.press("Enter")
    until(lambda: "%mlaas attach" in page.locator(f"{FORM} .l-status").inner_text())
    monkeypatch.setenv("HOME", str(lab.folder))
    made = Lab()
    (job,) = made.store.jobs()
    assert job.spec["steps"] == 2
    assert made.jobs.get(job.id).wait_end(60)
    made.store.close()
    assert page.wrong == []
