// @ts-check
/**
 * The page's side of a live comparison. It draws what the kernel sent, as text and never as markup, and asks for the
 * rows behind a number in pages. Every listener ends with one signal. It stands behind drawing.js, in one script.
 *
 * @typedef {{target: string, place: number, repeat: number, pieces: [string, boolean][], error: string,
 *   scores: [string, string][], facts: string[], mine: boolean}} Answer
 * @typedef {{sample: number, label: string, group: string | null, prompt: string, reference: string | null,
 *   answers: Answer[], passages: [string, string][], more: boolean}} Card
 * @typedef {{which: Which | null, offset: number, total: number, cards: Card[], said: string, chips: [string, string][],
 *   code: string}} Page
 * @typedef {{title: string, facts: string[], links: [string, string][], sections: Section[],
 *   choices: Record<string, string[]>, only: [string, string][], code: string, asked: boolean}} Content
 */

const PAGE = 10;
const BUSY_MS = 1500; // Longer silence is told.
const GONE_MS = 10000; // Then what the notebook keeps is shown again.
const KEYS = [
  ["Tab", "from part to part"], ["← → ↑ ↓", "from tab to tab, cell to cell, answer to answer"],
  ["Home End", "to the first and the last"], ["Enter", "opens the rows behind a number, or a whole answer"],
  ["Esc", "goes back to the number"], ["Page ↑ Page ↓", "turn the pages of answers"], ["/", "looks for words"],
  ["?", "shows and hides these keys"],
];
let made = 0;

class Comparison {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.signal = signal;
    this.id = `mlaas-live-${++made}`;
    /** @type {Content} */
    this.content = model.get("content");
    this.names = [...this.content.sections.map((section) => section.title), "Answers"];
    this.answersAt = this.names.length - 1;
    /** @type {(HTMLElement | undefined)[]} */
    this.panels = [];
    /** @type {WeakMap<Element, () => void>} */
    this.acts = new WeakMap();
    /** @type {Map<number, {done: (answer: any) => void, timers: number[]}>} */
    this.waiting = new Map();
    this.asked = 0;
    this.turns = 0;
    /** @type {Page} */
    this.page = { which: null, offset: 0, total: 0, cards: [], said: "", chips: [], code: this.content.code };
    /** @type {Which | null} */
    this.wanted = null;
    /** @type {{tab: number, cell: HTMLElement | null}[]} */
    this.trail = [];
    this.build(el);
    this.listen();
    this.resume();
  }

  /** @param {HTMLElement} el */
  build(el) {
    const { title, facts, links } = this.content;
    this.tabs = this.names.map((name, i) => {
      const tab = h("button", { type: "button", role: "tab", id: `${this.id}-tab-${i}`, "aria-controls": `${this.id}-panel`, "aria-selected": "false", tabindex: -1 }, name);
      return this.on(tab, () => {
        this.trail = [];
        this.open(i);
      });
    });
    this.keys = h("div", { class: "l-keys", role: "note", hidden: true, "aria-label": "Keys" },
      h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").flatMap((k, i) => (i ? [" ", h("kbd", {}, k)] : [h("kbd", {}, k)]))), h("dd", {}, what)])));
    this.menu = h("div", { class: "l-menu", role: "menu", hidden: true, "aria-label": "Export" },
      ...["csv", "parquet", "html"].map((form) => this.on(h("button", { type: "button", role: "menuitem", tabindex: -1 }, { csv: "CSV", parquet: "Parquet", html: "HTML page" }[form]), () => this.save(form))));
    this.exports = this.on(h("button", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false" }, "Export"), () => this.toggleMenu());
    this.help = this.on(h("button", { type: "button", "aria-expanded": "false", "aria-label": "Keys" }, "Keys", h("kbd", { "aria-hidden": "true" }, "?")), () => this.toggleKeys());
    const copy = this.on(h("button", { type: "button" }, "Copy as code"), () => this.copy());
    this.status = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    this.body = h("div", { class: "l-body", role: "tabpanel", id: `${this.id}-panel` });
    this.root = h("section", { class: "mlaas-live l-compared", "aria-label": `${title}, live` },
      h("header", {},
        h("div", { class: "l-title" }, h("h3", {}, title), facts.length ? h("span", { class: "l-soft" }, facts.join(" · ")) : null),
        h("div", { class: "l-tools" }, ...links.filter(([, url]) => /^https?:\/\//i.test(url)).map(([words, url]) =>
          h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, words, h("span", { "aria-hidden": "true" }, " ↗"))),
        copy, h("span", { class: "l-over" }, this.exports, this.menu), this.help)),
      this.keys,
      h("div", { role: "tablist", class: "l-tabs", "aria-label": "Views" }, ...this.tabs),
      this.body, this.status);
    el.replaceChildren(this.root);
  }

  listen() {
    const { signal } = this;
    this.root.addEventListener("click", (event) => this.click(event), { signal });
    this.root.addEventListener("keydown", (event) => this.key(event), { signal });
    this.root.addEventListener("focusin", (event) => this.focused(event), { signal });
    this.root.addEventListener("change", (event) => this.chosen(event), { signal });
    const hear = (/** @type {any} */ message) => this.hear(message);
    const begin = () => this.begin();
    this.model.on("msg:custom", hear);
    this.model.on("change:opening", begin);
    signal.addEventListener("abort", () => {
      this.model.off("msg:custom", hear);
      this.model.off("change:opening", begin);
      for (const { timers } of this.waiting.values()) timers.forEach((timer) => clearTimeout(timer));
      this.waiting.clear();
      this.root.remove();
    }, { once: true });
  }

  /** The first answers, as soon as they are here and nothing else was asked for. */
  begin() {
    const opening = this.model.get("opening");
    if (!this.turns && opening?.cards) this.show(opening);
  }

  /** Begin where the reader was, or with the rows that were asked for. */
  resume() {
    this.begin();
    const place = this.model.get("place") ?? {};
    const kept = Number.isInteger(place.tab) && place.tab >= 0 && place.tab < this.names.length;
    this.open(kept ? place.tab : this.content.asked ? this.answersAt : 0, false);
    if (kept && place.which && typeof place.which === "object") this.ask(place.which, Number.isInteger(place.offset) ? place.offset : 0);
  }

  keep() {
    this.model.set("place", { tab: this.tab, which: this.page.which, offset: this.page.offset });
    this.model.save_changes();
  }

  /** @template {HTMLElement} T @param {T} element @param {() => void} act @returns {T} */
  on(element, act) {
    this.acts.set(element, act);
    return element;
  }

  /* -- tabs -- */

  /** @param {number} at @param {boolean} [keep] */
  open(at, keep = true) {
    this.tab = at;
    this.tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === at));
      tab.tabIndex = i === at ? 0 : -1;
    });
    const panel = (this.panels[at] ??= at === this.answersAt ? this.answers() : this.section(this.content.sections[at], 4));
    this.body.replaceChildren(panel);
    this.body.setAttribute("aria-labelledby", `${this.id}-tab-${at}`);
    if (keep) this.keep();
    if (at === this.answersAt && !this.turns) this.ask(this.page.which, 0);
  }

  /** @param {Section} section @param {number} level @returns {HTMLElement} */
  section(section, level) {
    return h("div", { class: "l-section" },
      section.summary ? h("p", { class: "l-summary" }, section.summary) : null,
      ...section.marks.map(drawn),
      section.table ? this.table(section.table, section.title) : null,
      ...section.notes.map((note) => h("p", { class: "l-soft l-note" }, note)),
      ...section.children.map((child) => h("section", {}, h(`h${Math.min(level, 6)}`, {}, child.title), this.section(child, level + 1))));
  }

  /** @param {Table} table @param {string} title */
  table(table, title) {
    const head = h("tr", { role: "row" }, ...table.columns.map((column) =>
      h("th", { role: "columnheader", scope: "col", class: column.num ? "l-num" : null }, column.title, column.unit ? h("span", { class: "l-soft" }, ` ${column.unit}`) : null)));
    const rows = table.rows.map((row, y) => h("tr", { role: "row" }, ...row.cells.map(([text, tone], x) => {
      const column = table.columns[x];
      const cell = h("td", { role: "gridcell", tabindex: x + y ? -1 : 0, class: kindOf(column, text), "data-label": column.title, "aria-haspopup": "true", dir: "auto" },
        h("span", { class: "l-cell" }, tone ? badge(tone, text) : column.num ? ranged(text) : text));
      return this.on(cell, () => this.behind("a" in row.opens ? row.opens : { ...row.opens, ...column.opens }, cell));
    })));
    const name = table.caption || title;
    const grid = h("table", { role: "grid", class: `l-under-${table.under}`, "aria-label": `${name}: Enter opens the rows behind a number`, "aria-rowcount": rows.length + 1 },
      h("thead", { role: "rowgroup" }, head), h("tbody", { role: "rowgroup" }, ...rows));
    return h("div", { class: "l-scroll" }, grid, table.left > 0 ? h("p", { class: "l-soft" }, `… ${table.left.toLocaleString("en")} more rows; an export has them`) : null);
  }

  /** The rows a number stands on; Esc comes back to it. @param {Which} which @param {HTMLElement} cell */
  behind(which, cell) {
    this.trail.push({ tab: /** @type {number} */ (this.tab), cell });
    const ready = this.ask(which, 0, true);
    this.open(this.answersAt, false);
    ready.then(() => this.focusCard(0));
  }

  back() {
    const from = this.trail.pop();
    if (from) {
      this.open(from.tab);
      from.cell?.focus();
    } else {
      this.tabs[/** @type {number} */ (this.tab)].focus();
    }
  }

  /* -- answers -- */

  answers() {
    const { choices, only } = this.content;
    const select = (/** @type {string} */ field, /** @type {string} */ label, /** @type {[string, string][]} */ options) =>
      h("label", {}, h("span", { class: "l-soft" }, label), h("select", { "data-field": field }, ...options.map(([value, words]) => h("option", { value }, words))));
    /** @param {string} field @returns {[string, string][]} */
    const named = (field) => choices[field].map((name, i) => [String(i), name]);
    this.selects = h("div", { class: "l-filters", role: "search", "aria-label": "Which answers" },
      select("only", "Show", only),
      choices.target.length > 1 ? select("target", "Target", [["", "all"], ...named("target")]) : null,
      choices.metric.length > 1 ? select("metric", "Metric", named("metric")) : null,
      choices.error.length ? select("error", "Error", [["", "any"], ...named("error")]) : null,
      choices.group.length > 1 ? select("group", "Group", [["", "all"], ...named("group")]) : null,
      h("label", { class: "l-find" }, h("span", { class: "l-soft" }, "Words ", h("kbd", { "aria-hidden": "true" }, "/")),
        h("input", { type: "search", "data-field": "find", maxlength: 200, autocomplete: "off", spellcheck: "false", placeholder: "in questions and answers" })));
    this.chips = h("div", { class: "l-chips" });
    this.said = h("p", { class: "l-said" });
    this.list = h("div", { class: "l-list", role: "list", "aria-label": "Answers side by side" });
    const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ act) =>
      this.on(h("button", { type: "button", "aria-label": label, title: label }, sign), act);
    this.first = button("«", "First page", () => this.turn(-Infinity));
    this.previous = button("‹", "Previous page", () => this.turn(-1));
    this.next = button("›", "Next page", () => this.turn(1));
    this.last = button("»", "Last page", () => this.turn(Infinity));
    this.where = h("span", { class: "l-where" });
    const pager = h("div", { class: "l-pager", role: "group", "aria-label": "Pages" }, this.first, this.previous, this.where, this.next, this.last);
    const panel = h("div", { class: "l-answers" }, this.selects, this.chips, h("div", { class: "l-line" }, this.said, pager), this.list);
    this.panels[this.answersAt] = panel;
    this.show(this.page);
    return panel;
  }

  /** @param {Page} page */
  show(page) {
    this.page = page;
    if (!this.panels[this.answersAt]) return;
    for (const field of this.selects.querySelectorAll("[data-field]")) {
      const control = /** @type {HTMLSelectElement | HTMLInputElement} */ (field);
      const value = /** @type {any} */ (page.which ?? {})[control.dataset.field ?? ""];
      if (!this.isFocused(control)) control.value = value === undefined ? (control.dataset.field === "metric" ? "0" : "") : String(value);
    }
    const shown = new Set(["group", "error"].filter((field) => this.selects.querySelector(`[data-field=${field}]`)));
    this.chips.replaceChildren(...page.chips.filter(([field]) => !shown.has(field)).map(([field, words]) => {
      const chip = h("button", { type: "button", class: "l-chip", "aria-label": `${words}: take away` }, words, h("span", { "aria-hidden": "true" }, " ×"));
      return this.on(chip, () => {
        const which = { ...this.page.which };
        for (const name of field === "pair" ? ["a", "b"] : [field]) delete (/** @type {any} */ (which)[name]);
        this.ask(which, 0).then(() => this.focusCard(0));
      });
    }));
    this.said.replaceChildren(page.said);
    const end = page.offset + page.cards.length;
    this.where.replaceChildren(page.total ? `${(page.offset + 1).toLocaleString("en")}–${end.toLocaleString("en")} of ${page.total.toLocaleString("en")}` : "none");
    for (const button of [this.first, this.previous]) button.setAttribute("aria-disabled", String(page.offset === 0));
    for (const button of [this.next, this.last]) button.setAttribute("aria-disabled", String(end >= page.total));
    const inside = this.isFocused(this.list);
    this.list.replaceChildren(...page.cards.map((card, i) => this.card(card, i)));
    if (!page.cards.length) this.list.append(h("p", { class: "l-empty", role: "listitem" }, "No sample is like that. Show others, or take a word away."));
    // Whoever stood on an answer stands on one again, not at the top of the notebook.
    if (inside) this.focusCard(0);
  }

  /** @param {Card} card @param {number} i @param {boolean} [whole] @returns {HTMLElement} */
  card(card, i, whole = false) {
    const reference = card.reference === null ? null
      : h("div", { class: "l-answer l-reference" }, h("div", { class: "l-label" }, h("span", { class: "l-who" }, "reference")), h("div", { class: "l-text", dir: "auto" }, card.reference));
    const passages = card.passages.map(([source, text]) =>
      h("div", { class: "l-answer l-passage" }, h("div", { class: "l-label" }, `shown: ${source}`), h("div", { class: "l-text", dir: "auto" }, text)));
    const more = card.more ? this.on(h("button", { type: "button", class: "l-more", tabindex: -1 }, "Show all of it"), () => this.whole(card, i)) : null;
    const article = h("article", { role: "listitem", class: whole ? "l-card l-open" : "l-card", tabindex: i ? -1 : 0, "aria-label": `${card.label}: ${card.prompt.slice(0, 80)}` },
      h("div", { class: "l-label" }, h("span", {}, card.label), card.group === null ? null : h("span", {}, card.group)),
      h("div", { class: "l-prompt l-text", dir: "auto" }, card.prompt),
      h("div", { class: "l-side" }, reference, ...card.answers.map((answer) => this.answer(answer, whole)), ...passages), more);
    return this.on(article, () => { if (card.more) this.whole(card, i); });
  }

  /** @param {Answer} answer @param {boolean} whole */
  answer(answer, whole) {
    const said = answer.pieces.map(([text, differs]) => (differs ? h("mark", {}, text) : text));
    const again = whole && answer.repeat ? ` · repeat ${answer.repeat + 1}` : "";
    return h("div", { class: answer.mine ? "l-answer l-mine" : "l-answer" },
      h("div", { class: "l-label" }, h("span", { class: "l-who" }, answer.target + again), ...answer.scores.map(([text, tone]) => badge(tone, text))),
      answer.error ? h("div", { class: "l-text" }, badge("bad", answer.error))
        : h("div", { class: "l-text", dir: "auto" }, ...(said.length ? said : [h("span", { class: "l-soft" }, "(empty)")])),
      answer.facts.length ? h("div", { class: "l-soft l-took" }, answer.facts.join(" · ")) : null);
  }

  /** @param {Card} card @param {number} i */
  async whole(card, i) {
    const answer = await this.request({ kind: "whole", which: this.page.which, sample: card.sample });
    if (!answer || this.page.cards[i] !== card) return;
    const old = this.list.children[i];
    const focused = this.isFocused(old);
    const full = this.card(answer.card, i, true);
    full.tabIndex = /** @type {HTMLElement} */ (old).tabIndex;
    this.page.cards[i] = answer.card;
    old.replaceWith(full);
    if (focused) full.focus();
  }

  /** @param {Element} element */
  isFocused(element) {
    const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
    return Boolean(root.activeElement && element.contains(root.activeElement));
  }

  /** @param {number} pages */
  turn(pages) {
    const { offset, total, which } = this.page;
    const last = Math.max(0, Math.floor((total - 1) / PAGE) * PAGE);
    const to = pages === Infinity ? last : pages === -Infinity ? 0 : Math.min(last, Math.max(0, offset + pages * PAGE));
    if (to !== offset) this.ask(which, to);
  }

  /** @param {number} i */
  focusCard(i) {
    const cards = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll(".l-card")]);
    if (cards.length) cards[Math.min(i, cards.length - 1)].focus();
    else this.selects.querySelector("select")?.focus();
  }

  /* -- asking the kernel -- */

  /** @param {Which | null} which null: those to begin with @param {number} offset @param {boolean} [fresh] drop what no longer belongs */
  async ask(which, offset, fresh = false) {
    const turn = ++this.turns;
    this.wanted = which;
    if (fresh) this.list?.setAttribute("aria-busy", "true");
    const answer = await this.request({ kind: "rows", which, offset, limit: PAGE });
    if (turn !== this.turns) return;
    this.list?.removeAttribute("aria-busy");
    if (!answer) return;
    this.show(answer);
    this.keep();
  }

  /** An answer of the kernel, or null; what went wrong is said. @param {Record<string, any>} message @returns {Promise<any>} */
  request(message) {
    const id = ++this.asked;
    return new Promise((resolve) => {
      const done = (/** @type {any} */ answer) => {
        this.waiting.get(id)?.timers.forEach((timer) => clearTimeout(timer));
        this.waiting.delete(id);
        resolve(answer);
      };
      const busy = setTimeout(() => this.tell("The kernel is busy; it answers after the cell that runs."), BUSY_MS);
      const gone = setTimeout(() => {
        this.root.classList.add("l-alone");
        this.tell("No answer from the kernel. What the notebook keeps is shown beside this; run the cell again to look further.");
      }, GONE_MS);
      this.waiting.set(id, { done, timers: [busy, gone] });
      try {
        this.model.send({ ...message, id });
      } catch (error) {
        this.tell(`The kernel cannot be asked: ${error}`);
        done(null);
      }
    });
  }

  /** @param {any} message */
  hear(message) {
    const asked = message && typeof message === "object" ? this.waiting.get(message.id) : undefined;
    if (!asked) return;
    this.root.classList.remove("l-alone");
    if (message.kind === "error") this.tell(message.message);
    else if (message.kind !== "export") this.tell("");
    asked.done(message.kind === "error" ? null : message);
  }

  /** @param {...any} what */
  tell(...what) {
    this.status.replaceChildren(...what);
  }

  /* -- tools -- */

  /** @param {string} form */
  async save(form) {
    this.closeMenu();
    const what = this.tab === this.answersAt ? { which: this.page.which ?? {} } : { section: this.tab };
    const answer = await this.request({ kind: "export", form, ...what });
    if (answer) this.tell("Written: ", ...answer.paths.flatMap((/** @type {string} */ path, /** @type {number} */ i) => [i ? ", " : "", h("code", {}, path)]), answer.said ? ` ${answer.said}` : "");
  }

  async copy() {
    this.tell(...(await copied(this.tab === this.answersAt ? this.page.code : this.content.code)));
  }

  toggleMenu() {
    const open = this.menu.toggleAttribute("hidden") === false;
    this.exports.setAttribute("aria-expanded", String(open));
    if (open) /** @type {HTMLElement} */ (this.menu.firstElementChild).focus();
  }

  closeMenu() {
    const inside = this.isFocused(this.menu);
    this.menu.hidden = true;
    this.exports.setAttribute("aria-expanded", "false");
    if (inside) this.exports.focus();
  }

  toggleKeys() {
    const hidden = this.keys.toggleAttribute("hidden");
    this.help.setAttribute("aria-expanded", String(!hidden));
  }

  /* -- events -- */

  /** @param {Event} event */
  click(event) {
    let at = /** @type {Element | null} */ (event.target);
    if (!this.menu.hidden && at && !this.menu.parentElement?.contains(at)) this.closeMenu();
    const chosen = globalThis.getSelection?.()?.toString();
    for (; at && at !== this.root; at = at.parentElement) {
      const act = this.acts.get(at);
      // Who marks words to copy them does not want them opened.
      if (act) return chosen && !(at instanceof HTMLButtonElement) ? undefined : act();
    }
  }

  /** One cell of a table and one answer of the list can be reached by Tab: the one that was left. @param {Event} event */
  focused(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    const among = at.matches("td") ? at.closest("table")?.querySelectorAll("td[tabindex='0']")
      : at.matches(".l-card") ? this.list.querySelectorAll(".l-card[tabindex='0']") : null;
    if (!among) return;
    for (const other of among) /** @type {HTMLElement} */ (other).tabIndex = -1;
    at.tabIndex = 0;
  }

  /** @param {Event} event */
  chosen(event) {
    const control = /** @type {HTMLSelectElement | HTMLInputElement} */ (event.target);
    const field = control.dataset.field;
    if (!field) return;
    const which = /** @type {any} */ ({ ...this.page.which });
    if (control.value === "") delete which[field];
    else which[field] = field === "only" || field === "find" ? control.value : Number(control.value);
    if (field === "target") ["a", "b"].forEach((name) => delete which[name]);
    // Enter has asked already when the field is left.
    if (field !== "find" || control.value !== (this.wanted?.find ?? "")) this.ask(which, 0);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A notebook would take plain keys for its own commands: two d delete a cell.
    if (event.key !== "Tab" && !(event.key === "Enter" && event.shiftKey)) event.stopPropagation();
    const at = /** @type {HTMLElement} */ (event.target);
    const handled = at.matches("input, select") ? this.keyInControl(event, at) : this.keyElsewhere(event, at);
    if (handled) event.preventDefault();
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} at */
  keyInControl(event, at) {
    if (event.key === "Escape") {
      this.focusCard(0);
      return true;
    }
    if (event.key === "Enter" && at.matches("input")) {
      at.dispatchEvent(new Event("change", { bubbles: true }));
      return true;
    }
    return false;
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} at */
  keyElsewhere(event, at) {
    switch (event.key) {
      case "?":
        this.toggleKeys();
        return true;
      case "/":
        if (this.tab !== this.answersAt) this.open(this.answersAt);
        /** @type {HTMLElement | null} */ (this.selects.querySelector("input"))?.focus();
        return true;
      case "Escape":
        if (!this.menu.hidden) this.closeMenu();
        else if (!this.keys.hidden) this.toggleKeys();
        else this.back();
        return true;
    }
    if (at.matches("[role=tab]")) return this.keyInTabs(event.key);
    if (at.matches("[role=menuitem]")) return this.step(event.key, [...this.menu.children], at, "ArrowUp", "ArrowDown");
    if (at.matches("td")) return this.keyInTable(event, /** @type {HTMLTableCellElement} */ (at));
    if (at.closest(".l-list")) return this.keyInList(event.key, at);
    return false;
  }

  /** @param {string} key @param {Element[]} all @param {Element} at @param {string} less @param {string} more */
  step(key, all, at, less, more) {
    const i = all.indexOf(at);
    const to = { [less]: Math.max(0, i - 1), [more]: Math.min(all.length - 1, i + 1), Home: 0, End: all.length - 1 }[key];
    if (to === undefined) return false;
    /** @type {HTMLElement} */ (all[to]).focus();
    return true;
  }

  /** @param {string} key */
  keyInTabs(key) {
    const i = /** @type {number} */ (this.tab);
    const n = this.tabs.length;
    if (key === "ArrowDown") {
      /** @type {HTMLElement | null} */ (this.body.querySelector("td[tabindex='0'], .l-card[tabindex='0'], select"))?.focus();
      return true;
    }
    const to = { ArrowLeft: (i + n - 1) % n, ArrowRight: (i + 1) % n, Home: 0, End: n - 1 }[key];
    if (to === undefined) return false;
    this.trail = [];
    this.open(to);
    this.tabs[to].focus();
    return true;
  }

  /** @param {KeyboardEvent} event @param {HTMLTableCellElement} at */
  keyInTable(event, at) {
    if (event.key === "Enter" || event.key === " ") {
      this.acts.get(at)?.();
      return true;
    }
    const row = /** @type {HTMLTableRowElement} */ (at.parentElement);
    if (this.step(event.key, [...row.children], at, "ArrowLeft", "ArrowRight")) return true;
    const rows = [...(row.parentElement?.children ?? [])];
    const y = rows.indexOf(row);
    const to = { ArrowUp: y - 1, ArrowDown: y + 1, PageUp: 0, PageDown: rows.length - 1 }[event.key];
    if (to === undefined) return false;
    if (to < 0) this.tabs[/** @type {number} */ (this.tab)].focus();
    else /** @type {HTMLElement | undefined} */ (rows[to]?.children[at.cellIndex])?.focus();
    return true;
  }

  /** @param {string} key @param {HTMLElement} at */
  keyInList(key, at) {
    const card = at.closest(".l-card");
    if (!card) return false;
    if (key === "PageDown" || key === "ArrowRight") return this.turn(1), true;
    if (key === "PageUp" || key === "ArrowLeft") return this.turn(-1), true;
    if (key === "Enter" && at === card) return this.acts.get(card)?.(), true;
    return this.step(key, [...this.list.children], card, "ArrowUp", "ArrowDown");
  }
}

export default { render: rendering((model, el, signal) => new Comparison(model, el, signal)) };
