// @ts-check
/**
 * The page's side of a job that is followed. The kernel pushes what changed; whether it does is watched, since a job
 * goes on when its kernel is gone. Stopping it goes through the Jupyter server where that can, because the kernel may
 * be busy with a cell. It stands behind drawing.js and asking.js, in one script.
 *
 * @typedef {{title: string, id: string, code: string, back: string, silence_s: number}} First
 * @typedef {{state: [string, string], over: boolean, ready: boolean, asked: boolean, marks: Mark[], parts: Section[], links: [string, string][],
 *   log: string, beat: number}} Now
 */

const ANSWER_MS = 1500; // Longer silence of the kernel is told.

class JobCard {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.signal = signal;
    /** @type {First} */
    this.first = model.get("content");
    /** @type {Now} */
    this.now = model.get("now");
    this.asked = 0;
    this.silent = false;
    this.heardAt = Date.now();
    /** @type {Map<string, HTMLDetailsElement>} */
    this.folds = new Map();
    const { title, code } = this.first;
    this.state = h("span", { class: "l-state", role: "status" });
    this.links = h("span", { class: "l-links" });
    this.stop = /** @type {HTMLButtonElement} */ (h("button", { type: "button" }));
    this.code = h("button", { type: "button" }, "Copy as code");
    this.marks = h("div", { class: "l-marks" });
    this.parts = h("div", { class: "l-parts" });
    this.found = h("div", { class: "l-found" });
    this.lines = h("pre", { tabindex: 0, "aria-label": "Last lines of its log" });
    this.log = /** @type {HTMLDetailsElement} */ (h("details", { class: "l-log" }, h("summary", {}, "Log"), this.lines));
    this.said = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    this.root = h("section", { class: "mlaas-live l-job", "aria-label": `${title}, live` },
      h("header", {}, h("div", { class: "l-title" }, h("h3", {}, title), this.state), h("div", { class: "l-tools" }, this.links, this.code, this.stop)),
      this.marks, this.parts, this.found, this.log, this.said);
    this.show();
    this.draw();
    el.replaceChildren(this.root);
    this.lines.scrollTop = this.lines.scrollHeight;
    const ours = { signal };
    this.stop.addEventListener("click", () => void this.cancel(), ours);
    this.code.addEventListener("click", async () => this.tell(...(await copied(code))), ours);
    keptKeys(this.root, signal);
    this.listen();
  }

  listen() {
    const show = () => this.show();
    const draw = () => this.draw();
    const hear = (/** @type {any} */ message) => this.hear(message);
    this.model.on("change:now", show);
    this.model.on("change:found", draw);
    this.model.on("msg:custom", hear);
    const pulse = setInterval(() => this.listenFor(), 1000);
    this.signal.addEventListener("abort", () => {
      clearInterval(pulse);
      clearTimeout(this.timer);
      this.model.off("change:now", show);
      this.model.off("change:found", draw);
      this.model.off("msg:custom", hear);
      this.root.remove();
    }, { once: true });
  }

  /** Where it stands; only what differs is touched, so nothing that has the focus goes away. */
  show() {
    const before = this.now;
    this.now = this.model.get("now");
    const { state, over, asked, marks, parts, links, log } = this.now;
    this.heard();
    const [words, tone] = state;
    if (this.state.dataset.is !== state.join()) {
      this.state.dataset.is = state.join();
      this.state.replaceChildren(badge(tone, words));
      if (over) this.tell("");
    }
    this.stop.hidden = over;
    this.stop.replaceChildren(asked ? "Stopping …" : "Cancel");
    this.stop.setAttribute("aria-disabled", String(asked));
    replaced(this.links, links.map(([text, url]) => [text + url, () => link(text, url)]));
    replaced(this.marks, marks.map((mark) => [JSON.stringify(mark), () => drawn(mark)]));
    replaced(this.parts, parts.map((one) => [JSON.stringify(one), () => this.section(one, 4, "")]));
    this.log.hidden = !log;
    if (this.lines.textContent !== log) {
      const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
      this.lines.textContent = log;
      if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    }
    if (words === "failed" && before?.state[0] !== "failed") this.log.open = true;
  }

  /** What it has found so far. */
  draw() {
    /** @type {Section[]} */
    const sections = this.model.get("found");
    replaced(this.found, sections.map((one, i) => [JSON.stringify(one), () => this.section(one, 4, `${i}`)]));
  }

  /** @param {Section} section @param {number} level @param {string} at @returns {HTMLElement} */
  section(section, level, at) {
    return h("section", {}, h(`h${Math.min(level, 6)}`, {}, section.title),
      section.summary ? h("p", { class: "l-summary" }, section.summary) : null,
      ...section.marks.map(drawn),
      section.table && at ? this.fold(at, plainTable(section.table, section.title)) : section.table ? plainTable(section.table, section.title) : null,
      ...section.notes.map((note) => h("p", { class: "l-soft l-note" }, note)),
      ...section.children.map((child, i) => this.section(child, level + 1, `${at}.${i}`)));
  }

  /** A table that is as open as it was. @param {string} at @param {HTMLElement} table */
  fold(at, table) {
    const before = this.folds.get(at);
    const fold = /** @type {HTMLDetailsElement} */ (h("details", { open: before?.open }, h("summary", { "data-at": at }, "The numbers"), table));
    this.folds.set(at, fold);
    return fold;
  }

  /* -- stopping it -- */

  async cancel() {
    if (this.now.asked || this.now.over) return;
    this.tell("Asking it to stop …");
    const stopped = await byServer(`jobs/${encodeURIComponent(this.first.id)}/cancel`, this.signal);
    if (this.signal.aborted) return;
    if (stopped) this.tell("It was asked to stop; it keeps what is worth keeping.");
    else this.askKernel();
  }

  askKernel() {
    this.asked += 1;
    this.model.send({ kind: "cancel", id: this.asked });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell("The kernel is busy with a cell and asks when that ends. At once, in a terminal: ", h("code", {}, `mlaas cancel ${this.first.id}`)), ANSWER_MS);
  }

  /** @param {any} message */
  hear(message) {
    if (!message || typeof message !== "object" || message.id !== this.asked || !this.asked) return;
    if (message.kind !== "told" && message.kind !== "error") return;
    clearTimeout(this.timer);
    this.tell(String(message.kind === "told" ? message.said : message.message));
  }

  /* -- whether the kernel is there -- */

  heard() {
    this.heardAt = Date.now();
    if (this.silent) this.tell("");
    this.silent = false;
  }

  listenFor() {
    if (this.silent || this.now.over || Date.now() - this.heardAt < 1000 * this.first.silence_s) return;
    this.silent = true;
    const since = new Date(this.heardAt).toLocaleTimeString();
    this.tell(`No word from the kernel since ${since}. The job goes on without it; this shows it again: `, h("code", {}, this.first.back));
  }

  /** @param {...(string | HTMLElement)} words */
  tell(...words) {
    this.said.replaceChildren(...words);
  }
}

export default { render: rendering((model, el, signal) => new JobCard(model, el, signal)) };
