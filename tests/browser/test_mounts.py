"""The page's side alone, in a host that offers only what every host of widgets has: it leaves nothing behind."""

import json

import pytest
from made_records import duel, frame_of

from mlaas_lab import panels
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels.board import board
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.kernel import Compared, Kernel

pytestmark = pytest.mark.browser
HOST = """async ({ script, style, content, opening }) => {
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const heard = new Set();
  const state = { content, opening, place: {} };
  window.sent = [];
  const offered = {
    get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes: () => {},
    on: (name, call) => heard.add(call), off: (name, call) => heard.delete(call), send: (message) => window.sent.push(message),
  };
  const model = new Proxy(offered, { get: (all, name) => { if (!(name in all)) throw new Error(`no ${String(name)} here`); return all[name]; } });
  window.heard = heard;
  window.tell = (message) => heard.forEach((call) => call(message));
  window.mount = (signal) => {
    const el = document.createElement("div");
    document.body.append(el);
    const end = module.default.render({ model, el, signal });
    return () => { end?.(); el.remove(); };
  };
}"""
MANY = """(use) => {
  for (let i = 0; i < 100; i += 1) {
    const life = new AbortController();
    const end = window.mount(i % 2 ? life.signal : undefined);
    document.querySelectorAll("[role=tab]").forEach((tab) => tab.click());
    document.querySelector("td")?.click();
    if (i % 2) life.abort();
    end();
  }
}"""


@pytest.fixture
def content(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", duel(usd="0.001"))
    views = [board(*summarize(frame)), *panels.draw(frame, without=("board", "outputs"))]
    kernel = Kernel(Compared(title="bad against good", frame=frame, views=views, words=["compare", "x"]))
    return kernel.first, kernel.opening


def host(page, content, change=lambda script: script):
    page.goto("about:blank")
    given = {"script": change(flat.script("comparison")), "style": flat.style("comparison")}
    first, opening = json.loads(json.dumps(content))
    page.evaluate(HOST, {**given, "content": first, "opening": opening})


def listeners(page):
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return found["JSEventListeners"], found["Nodes"]


def left(page):
    page.evaluate(MANY)
    before = listeners(page)
    page.evaluate(MANY)
    after = listeners(page)
    return after[0] - before[0], after[1] - before[1], page.evaluate("window.heard.size")


def test_a_hundred_mounts_leave_nothing(page, content):
    host(page, content)
    many, nodes, heard = left(page)
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
    assert left(page)[0] >= 100


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
