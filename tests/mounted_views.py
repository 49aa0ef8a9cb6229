"""A view of ours alone on a page, in a host that offers only what every host of widgets has."""

import json

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
