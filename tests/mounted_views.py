"""A view of ours alone on a page, in a host that offers only what every host of widgets has."""

import json

from made_records import duel, frame_of

from mlaas_lab import panels
from mlaas_lab.commands import _dispatch
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels.board import board
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.kernel import Compared, Kernel

HOST = """async ({ script, style, state }) => {
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const heard = new Set();
  // Bytes, which JSON has none of.
  if (state.rows) state.rows = new DataView(new TextEncoder().encode(JSON.stringify(state.rows)).buffer);
  window.sent = [];
  const offered = {
    get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes: () => {},
    on: (name, call) => heard.add(call), off: (name, call) => heard.delete(call), send: (message) => window.sent.push(message),
  };
  const model = new Proxy(offered, { get: (all, name) => { if (!(name in all)) throw new Error(`no ${String(name)} here`); return all[name]; } });
  window.heard = heard;
  window.tell = (message) => heard.forEach((call) => call(message));
  window.change = (changed) => { Object.assign(state, changed); heard.forEach((call) => call()); };
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
    document.querySelectorAll("[role=tab], summary").forEach((tab) => tab.click());
    document.querySelector("td")?.click();
    if (i % 2) life.abort();
    end();
  }
}"""


def host(page, script, style, **state):
    """A page with that view; `window.mount()` shows it, `window.change()` is what a kernel sends."""
    page.goto("about:blank")
    page.evaluate(HOST, {"script": script, "style": style, "state": json.loads(json.dumps(state))})


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


SCRIPTS = {"comparison": ("comparison",), "form": ("form",), "job": ("asking", "job"), "jobs": ("asking", "jobs")}


def view(page, name, state, change=lambda script: script):
    """A page with one of our views, its script changed first."""
    host(page, change(flat.script(*SCRIPTS[name])), flat.style(name), **state)


def spoilt(old, new):
    """A change of a script that must find what it replaces."""

    def change(script):
        changed = script.replace(old, new, 1)
        assert changed != script
        return changed

    return change


def comparison(folder):
    """What the view of two targets begins with."""
    frame = frame_of(folder / "r.parquet", duel(usd="0.001"))
    views = [board(*summarize(frame)), *panels.draw(frame, without=("board", "outputs"))]
    kernel = Kernel(Compared(title="bad against good", frame=frame, views=views, words=["compare", "x"]))
    return {"content": kernel.first, "opening": kernel.opening, "place": {}}


def form(lab, task="finetune"):
    """What the form of a task begins with."""
    return {"content": _dispatch.execute(["form", task], lab).formed().content, "typed": {}}


FIRST = {"title": "finetune support · 3f9a01bc", "id": "3f9a01bc", "code": "%mlaas finetune --data x", "silence_s": 15}
FIRST["back"] = "%mlaas attach 3f9a01bc"
CURVE = {"name": "training", "hue": 0, "faint": False, "dots": False, "points": [[0, 1], [1, 0]]}
TABLE = {"caption": "", "left": 0, "columns": [{"title": "Step", "unit": "", "num": True, "wrap": False, "opens": {}}]}
TABLE["rows"] = [{"cells": [["1"]], "opens": {}}]
CHART = {"kind": "curves", "title": "Loss", "x_title": "step", "stairs": False, "curves": [CURVE]}
CHART |= {"x_ticks": [], "y_ticks": []}
FOUND = {"title": "Training", "summary": "", "marks": [CHART], "table": TABLE, "notes": [], "children": []}


def now(n=1, state=("running", "busy"), **more):
    bar = {"kind": "progress", "title": "steps", "at": n / 100, "tone": "busy", "text": f"{n}/100 steps"}
    facts = {"kind": "facts", "rows": [["Took", f"{n} s"]]}
    told = {
        "state": state,
        "over": False,
        "ready": False,
        "asked": False,
        "parts": [],
        "marks": [bar, facts],
        "links": [],
        "log": "a line",
        "beat": n,
    }
    return told | more


def job(**more):
    """What the card of a job begins with."""
    return {"content": FIRST, "now": now(**more), "found": [FOUND]}


STATES = [("succeeded", "good"), ("running", "busy"), ("failed", "bad")]


def row(i, state=None, of=10_000):
    """One job of many, as a table has it."""
    words, tone = state or STATES[i % 3]
    task = "finetune" if i % 2 else "eval"
    started = 1_790_000_000 + i
    why = "<img src=x onerror=document.title='owned'>" if words == "failed" else ""
    ended = None if words == "running" else started + i % 500
    return [f"{i:08x}", i, task, f"tune-{i}", words, tone, words == "running", i / of, "", started, started, ended, why]


def jobs(n=10_000):
    """What a table of jobs begins with."""
    content = {"title": "Jobs", "code": "%mlaas jobs"}
    return {"content": content, "rows": [row(i, of=n) for i in range(n)], "changed": {}}
