// @ts-check
/** The head of the dashboard: pages, filters and the theme. It stands behind drawing.js, in one script. */

const THEMES = [["", "Theme: system"], ["light", "Theme: light"], ["dark", "Theme: dark"]];
const THEME = "mlaas-theme";

class Bar {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    const { title, facts, pages, filters } = model.get("content");
    this.links = new Map(pages.map((/** @type {[string, string]} */ [name, words]) => [name, h("a", { "data-page": name }, words)]));
    /** @type {Map<string, {summary: HTMLElement, boxes: HTMLInputElement[], names: string[], title: string}>} */
    this.filters = new Map();
    this.menus = filters.map((/** @type {any} */ filter) => this.filter(filter));
    this.clear = h("button", { type: "button", class: "d-clear", hidden: true }, "Clear");
    this.said = h("span", { class: "d-said", role: "status", "aria-live": "polite" });
    this.news = h("button", { type: "button", class: "d-news", hidden: true });
    this.theme = h("button", { type: "button", class: "d-theme" });
    this.root = h("div", { class: "mlaas-live d-bar" },
      h("header", {}, h("div", { class: "l-title" }, h("h1", {}, title), h("span", { class: "l-soft" }, facts.join(" · "))), this.theme),
      h("nav", { "aria-label": "Pages" }, ...this.links.values()),
      h("div", { class: "d-filters", role: "group", "aria-label": "Filters" }, ...this.menus, this.clear, this.said, h("span", { class: "d-fresh", role: "status", "aria-live": "polite" }, this.news)));
    el.replaceChildren(this.root);
    this.listen(signal);
    this.paint();
    this.show();
  }

  /** @param {{name: string, title: string, values: string[]}} filter */
  filter({ name, title, values }) {
    const boxes = values.map((_words, i) => /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", "data-filter": name, "data-at": i })));
    const summary = h("summary", {}, title);
    this.filters.set(name, { summary, boxes, names: values, title });
    return h("details", { class: "d-filter" }, summary,
      h("fieldset", {}, h("legend", { class: "d-hidden" }, title), ...values.map((words, i) => h("label", {}, boxes[i], h("span", { dir: "auto" }, words)))));
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    this.root.addEventListener("click", (event) => this.click(/** @type {MouseEvent} */ (event)), { signal });
    this.root.addEventListener("change", () => this.ask(this.model.get("where").page), { signal });
    this.root.addEventListener("keydown", (event) => {
      const menu = event.key === "Escape" && /** @type {HTMLElement} */ (event.target).closest("details");
      if (!menu) return;
      menu.removeAttribute("open");
      menu.querySelector("summary")?.focus();
    }, { signal });
    // One menu at a time, and none once one works elsewhere.
    document.addEventListener("pointerdown", (event) => {
      for (const menu of this.menus) if (!event.composedPath().includes(menu)) menu.removeAttribute("open");
    }, { signal });
    // The host writes the address and does not hear of going back.
    window.addEventListener("popstate", () => this.model.send({ search: window.location.search }), { signal });
    const show = () => this.show();
    const hear = () => this.hear();
    this.model.on("change:where", show);
    this.model.on("change:news", hear);
    signal.addEventListener("abort", () => {
      this.model.off("change:where", show);
      this.model.off("change:news", hear);
      this.root.remove();
    }, { once: true });
  }

  /** @param {MouseEvent} event */
  click(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    if (at === this.theme) return this.turn();
    if (at === this.news) {
      this.news.setAttribute("disabled", "");
      return this.model.send({ fresh: true });
    }
    if (at === this.clear) {
      for (const { boxes } of this.filters.values()) for (const box of boxes) box.checked = false;
      return this.ask(this.model.get("where").page);
    }
    const page = at.dataset?.page;
    // With a key held the browser opens the page in a tab of its own.
    if (!page || event.ctrlKey || event.metaKey || event.shiftKey) return undefined;
    event.preventDefault();
    return this.ask(page);
  }

  /** @param {string} page */
  ask(page) {
    const chosen = [...this.filters].map(([name, { boxes }]) => [name, boxes.flatMap((box, i) => (box.checked ? [i] : []))]);
    this.model.send({ page, ...Object.fromEntries(chosen) });
  }

  /** Where the reader is, as the server has it. */
  show() {
    const { page, said, query, ...where } = this.model.get("where");
    for (const [name, link] of this.links) {
      link.setAttribute("href", `${query.replace(/^\?page=[^&]*/, `?page=${name}`)}`);
      if (name === page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    let some = false;
    for (const [name, { summary, boxes, names, title }] of this.filters) {
      const places = new Set(where[name]);
      boxes.forEach((box, i) => { box.checked = places.has(i); });
      some ||= places.size > 0;
      const words = places.size === 1 ? names[where[name][0]] : places.size ? `${places.size} of ${names.length}` : "all";
      summary.replaceChildren(h("span", { class: "l-soft" }, `${title} `), words);
    }
    this.clear.hidden = !some;
    this.said.textContent = said;
  }

  /** What came since; only who asks for it is shown it. */
  hear() {
    const { said = "", reload = false } = this.model.get("news");
    if (reload) return window.location.reload();
    this.news.hidden = !said;
    this.news.removeAttribute("disabled");
    return this.news.replaceChildren(said, h("strong", {}, " Show"));
  }

  turn() {
    const now = localStorage.getItem(THEME) ?? "";
    const at = THEMES.findIndex(([name]) => name === now);
    localStorage.setItem(THEME, THEMES[(at + 1) % THEMES.length][0]);
    this.paint();
  }

  paint() {
    const now = localStorage.getItem(THEME) ?? "";
    document.documentElement.dataset.theme = now;
    this.theme.textContent = THEMES.find(([name]) => name === now)?.[1] ?? THEMES[0][1];
  }
}

export default { render: rendering((model, el, signal) => new Bar(model, el, signal)) };
