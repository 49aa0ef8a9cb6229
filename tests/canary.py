"""A listener on loopback that nobody is to ask anything, and what a page that holds hostile texts is watched for."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from payloads import payloads


class Canary:
    """A server that writes down who asked; used as a context."""

    def __enter__(self) -> Self:
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the library asks for these names

            def log_message(self, *_words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def leaks(self) -> set[str]:
        """Which of the texts that call home did."""
        return {urlsplit(path).path for path in self.asked}


class Watched:
    """A page, and what of its texts ran, asked or spoke."""

    def __init__(self, page, canary: Canary, own: tuple[str, ...] = ("about:", "data:", "blob:")) -> None:
        self.page, self.canary, self.own = page, canary, own
        self.ran, self.asked, self.spoke = [], [], []
        page.expose_function("ran", lambda n: self.ran.append(n))  # noqa: PLW0108 - it marks what it is given
        page.context.on("request", lambda request: request.url.startswith(self.own) or self.asked.append(request.url))
        page.on("dialog", lambda dialog: dialog.type == "beforeunload" or self.spoke.append(dialog.message))
        page.context.on("page", lambda other: other is page or self.spoke.append(f"opened {other.url}"))

    def settled(self, pause_ms: int = 700) -> list[str]:
        """Each text that ran, request that went elsewhere, dialog that opened and path the listener was asked for."""
        self.page.wait_for_timeout(pause_ms)
        ran = [f"ran: {TEXTS[n]!r}" for n in sorted({*self.ran})]
        return [*ran, *self.asked, *self.spoke, *self.canary.asked]


TEXTS = payloads()
DEEP = """const deep = (selector, at = document) => [...at.querySelectorAll(selector),
  ...[...at.querySelectorAll("*")].flatMap((e) => (e.shadowRoot ? deep(selector, e.shadowRoot) : []))];"""
"""Everything under a selector, within the shadows of hosts too."""
STRANGE = f"""([selector, known]) => {{ {DEEP}
  return deep(selector).flatMap((root) => [root, ...root.querySelectorAll("*")])
    .filter((e) => !known.includes(e.localName) || [...e.attributes].some((a) => /^on/i.test(a.name)
      || (/^(xlink:)?(href|src|srcset|action|formaction|background|poster|data|ping)$/i.test(a.name) && !/^(https?:|#|\\?)/.test(a.value))))
    .map((e) => e.outerHTML.slice(0, 200)); }}"""
"""Elements under a selector that are of no known kind, or lead to anything that is no page."""
TOUCHED = f"""(selector) => {{ {DEEP}
  deep(selector).forEach((root) => root.querySelectorAll("summary, [tabindex], td, svg").forEach((e) => {{
    if (e.localName === "summary") e.click();
    for (const kind of ["pointerover", "mouseover", "focus", "keydown"]) e.dispatchEvent(new Event(kind, {{ bubbles: true }}));
  }})); }}"""
"""Open what is folded, and touch what takes a touch."""
WALK = f"""async ([selector, known]) => {{ {DEEP}
  const check = {STRANGE}, touch = {TOUCHED};
  const live = deep(selector)[0], pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const found = []; let seen = 0;
  for (let turn = 0; turn < 200; turn += 1) {{
    for (const one of live.querySelectorAll("button.l-open")) {{
      [...live.querySelectorAll("button.l-open")].find((now) => now.dataset.open === one.dataset.open)?.click();
    }}
    seen += live.querySelectorAll(".l-card, button.l-open").length;
    touch(selector);
    found.push(...check([selector, known]));
    const next = live.querySelector("[aria-label='Next page']"), where = () => live.querySelector(".l-where").textContent;
    if (next.disabled || next.getAttribute("aria-disabled") === "true") return {{ seen, found }};
    const before = where();
    next.click();
    for (let i = 0; i < 500 && where() === before; i += 1) await pause(10);
    await pause(10);
  }}
  throw new Error("there is no last page");
}}"""
"""Every page of a view that has several: how many texts were seen, and what was strange."""
KNOWN = [
    "div", "span", "section", "header", "h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "li", "dl", "dt", "dd", "pre", "code", "mark", "article",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "path", "line", "rect", "text", "g", "circle", "polyline",
    "title", "polygon", "style", "button", "input", "select", "option", "label", "details", "summary", "form", "a", "kbd", "nav", "fieldset", "legend",
    "textarea",
]  # fmt: skip
"""What live views are made of."""
