// @ts-check
/**
 * The page's side of a review: one sample, two answers, and what the reviewer says, by keyboard or by hand. It shows
 * what the kernel sent, as text and never as markup; who is who it does not know before the kernel tells. It stands
 * behind drawing.js, in one script.
 *
 * @typedef {{name: string | null, pieces: [string, boolean][], error: string, scores: [string, string][], facts: string[]}} Side
 * @typedef {{label: string, group: string | null, prompt: string, reference: string | null, answers: Side[],
 *   passages: [string, string][], more: boolean, apart: string}} Card
 * @typedef {{at: number, total: number, done: number, share: number | null, progress: string, hidden: boolean, ended: boolean,
 *   verdict: string | null, comment: string, next: number | null, card: Card, said: string}} Now
 */

const WAIT_MS = 1500; // Longer silence is told.
const LOST_MS = 10000; // Then nobody may think that it is kept.
/** @type {[string, string, string][]} */
const VERDICTS = [["left", "1", "Left is better"], ["right", "2", "Right is better"], ["tie", "3", "Tie"], ["both_bad", "4", "Both bad"], ["skip", "s", "Skip"]];
/** @type {Record<string, string>} */
const BY_KEY = { ...Object.fromEntries(VERDICTS.map(([said, key]) => [key, said])), 5: "skip" };
const HELP = [
  ["1 2 3 4", "left, right, tie, both bad"], ["s", "skips the sample"], ["← k", "to the sample before"], ["→ j", "to the next one"],
  ["Home End", "to the first and the last"], ["n", "to the next that is not judged"], ["c", "a comment; Esc leaves it and keeps it"],
  ["u", "takes the last back"], ["b", "hides who is who, or reveals it"], ["w", "the whole of long answers"], ["r", "the results so far"], ["?", "shows and hides these keys"],
];
/** @type {Record<string, string>} */
const SHORTCUTS = { "←": "ArrowLeft", "→": "ArrowRight" };
const QUEUED = 5;
const SCROLLS = 600; // A text of more characters may not fit: whoever has no mouse scrolls it by its own keys.
let reviews = 0;

class Reviewing {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.signal = signal;
    this.id = `mlaas-review-${++reviews}`;
    this.asked = 0;
    this.inFlight = 0;
    /** @type {Record<string, any>[]} */
    this.queue = [];
    /** @type {Map<number, number[]>} */
    this.waiting = new Map();
    /** @type {Now} */
    this.now = model.get("now");
    this.whole = false;
    this.build(el);
    this.show(this.now);
    this.listen();
  }

  /** @param {HTMLElement} el */
  build(el) {
    const { title, facts, links, longest } = this.model.get("content");
    const button = (/** @type {string} */ words, /** @type {string} */ key, /** @type {string} */ act, more = {}) =>
      h("button", { type: "button", "data-act": act, "aria-keyshortcuts": SHORTCUTS[key] ?? key, ...more }, words, h("kbd", { "aria-hidden": "true" }, key));
    this.blind = button("Names hidden", "b", "blind", { "aria-pressed": "false" });
    this.keys = h("div", { class: "l-keys", role: "note", hidden: true, "aria-label": "Keys" },
      h("dl", {}, ...HELP.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").flatMap((k, i) => (i ? [" ", h("kbd", {}, k)] : [h("kbd", {}, k)]))), h("dd", {}, what)])));
    this.help = button("Keys", "?", "keys", { "aria-expanded": "false" });
    this.bar = h("div", {});
    this.card = h("article", { class: "l-card", tabindex: 0 });
    this.verdicts = VERDICTS.map(([said, key, words]) => button(words, key, said, { "aria-pressed": "false", class: `l-verdict l-v-${said}` }));
    this.words = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: `${this.id}-words`, rows: 1, maxlength: longest, spellcheck: "true", dir: "auto", "aria-label": "Comment on this sample", placeholder: "why, if you like" }));
    this.before = button("Before", "←", "before");
    this.after = button("Next", "→", "after");
    this.where = h("span", { class: "l-where" });
    this.results = h("div", { class: "l-results", hidden: true, role: "region", "aria-label": "Results so far" });
    this.status = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    this.root = h("section", { class: "mlaas-live l-review", "aria-label": `${title}, live` },
      h("header", {},
        h("div", { class: "l-title" }, h("h3", {}, title), facts.length ? h("span", { class: "l-soft" }, facts.join(" · ")) : null),
        h("div", { class: "l-tools" }, ...links.map((/** @type {[string, string]} */ [words, url]) => link(words, url)),
          this.blind, button("Undo", "u", "undo"), button("Results", "r", "results", { "aria-expanded": "false" }),
          h("button", { type: "button", "data-act": "copy" }, "Copy as code"), this.help)),
      this.keys, this.bar, this.card,
      h("div", { class: "l-judge", role: "group", "aria-label": "Which answer is better" }, ...this.verdicts),
      h("div", { class: "l-foot" },
        h("label", { class: "l-comment" }, h("span", { class: "l-soft", "aria-hidden": "true" }, "Comment ", h("kbd", {}, "c")), this.words),
        h("div", { class: "l-pager", role: "group", "aria-label": "Samples" }, this.before, this.where, this.after)),
      this.status, this.results);
    el.replaceChildren(this.root);
  }

  listen() {
    const { signal } = this;
    this.root.addEventListener("click", (event) => {
      const at = /** @type {Element} */ (event.target).closest("[data-act]");
      if (at) this.act(/** @type {HTMLElement} */ (at).dataset.act ?? "");
    }, { signal });
    this.root.addEventListener("keydown", (event) => this.key(event), { signal });
    this.words.addEventListener("blur", () => this.keepWords(), { signal });
    keptKeys(this.root, signal);
    const hear = (/** @type {any} */ message) => this.hear(message);
    const changed = () => this.follow();
    this.model.on("msg:custom", hear);
    this.model.on("change:now", changed);
    signal.addEventListener("abort", () => {
      this.model.off("msg:custom", hear);
      this.model.off("change:now", changed);
      this.waiting.forEach((timers) => timers.forEach((timer) => clearTimeout(timer)));
      this.waiting.clear();
      this.root.remove();
    }, { once: true });
  }

  /* -- what is shown -- */

  /** Another page judged; who is writing here is left alone. */
  follow() {
    if (!this.waiting.size && !this.writing()) this.show(this.model.get("now"));
  }

  /** @param {Now} now */
  show(now) {
    if (!now?.card) return;
    const moved = this.now.at !== now.at;
    this.now = now;
    this.bar.replaceChildren(progress({ kind: "progress", title: "Judged", at: now.share, tone: now.ended ? "good" : "busy", text: now.progress }));
    this.where.replaceChildren(`${(now.at + 1).toLocaleString("en")} of ${now.total.toLocaleString("en")}`);
    this.before.setAttribute("aria-disabled", String(now.at === 0));
    this.after.setAttribute("aria-disabled", String(now.at === now.total - 1));
    this.blind.setAttribute("aria-pressed", String(now.hidden));
    this.blind.firstChild?.replaceWith(now.hidden ? "Names hidden" : "Names shown");
    for (const one of this.verdicts) one.setAttribute("aria-pressed", String(one.dataset.act === now.verdict));
    if (moved || !this.writing()) this.words.value = now.comment;
    this.draw(now.card, now);
    const place = moved ? ` Now sample ${now.at + 1} of ${now.total}.` : "";
    if (now.said || moved) this.tell(`${now.said}${place}`.trim());
  }

  /** @param {Card} card @param {Now} now */
  draw(card, now) {
    const names = ["Left", "Right"];
    const scrolls = (/** @type {string} */ text, /** @type {string} */ name) => (this.whole || (text.length < SCROLLS && text.split("\n").length < 12) ? {} : { tabindex: 0, role: "group", "aria-label": name });
    const chosen = (/** @type {number} */ i) => now.verdict === ["left", "right"][i];
    const side = (/** @type {Side} */ one, /** @type {number} */ i) => h("section", { class: `l-answer${chosen(i) ? " l-chosen" : ""}`, "aria-label": one.name ? `${names[i]}: ${one.name}` : names[i] },
      h("div", { class: "l-label" }, h("span", { class: "l-side-name" }, names[i]), one.name ? h("span", { class: "l-who" }, one.name) : null,
        ...one.scores.map(([text, tone]) => badge(tone, text)), chosen(i) ? badge("good", "better") : null),
      one.error ? h("div", { class: "l-text" }, badge("bad", one.error))
        : h("div", { class: "l-text", dir: "auto", ...scrolls(one.pieces.map(([text]) => text).join(""), `${names[i]} answer`) }, ...(one.pieces.length ? one.pieces.map(([text, differs]) => (differs ? h("mark", {}, text) : text)) : [h("span", { class: "l-soft" }, "(empty)")])),
      one.facts.length ? h("div", { class: "l-soft l-took" }, one.facts.join(" · ")) : null);
    const aside = (/** @type {string} */ label, /** @type {string} */ text) => h("div", { class: "l-answer l-reference" },
      h("div", { class: "l-label" }, label), h("div", { class: "l-text", dir: "auto", ...scrolls(text, label) }, text));
    this.card.setAttribute("aria-label", `${card.label}, ${now.at + 1} of ${now.total}: ${card.prompt.slice(0, 80)}`);
    this.card.classList.toggle("l-open", this.whole);
    this.card.replaceChildren(
      h("div", { class: "l-label" }, h("span", {}, card.label), card.group === null ? null : h("span", {}, card.group), h("span", {}, card.apart)),
      h("div", { class: "l-prompt l-text", dir: "auto", ...scrolls(card.prompt, "Question") }, card.prompt),
      h("div", { class: "l-side" }, ...card.answers.map(side)),
      card.reference === null ? "" : aside("reference", card.reference),
      ...card.passages.map(([source, text]) => aside(`shown: ${source}`, text)),
      card.more ? h("button", { type: "button", class: "l-more", "data-act": "whole" }, "Show all of it", h("kbd", { "aria-hidden": "true" }, "w")) : "");
  }

  writing() {
    const root = /** @type {Document | ShadowRoot} */ (this.root.getRootNode());
    return root.activeElement === this.words;
  }

  /* -- what is done -- */

  /** @param {string} act */
  act(act) {
    const { at, total, next, hidden } = this.now;
    if (act in BY_NAME) this.ask({ kind: "judge", at, said: act });
    else if (act === "before" && at > 0) this.go(at - 1);
    else if (act === "after" && at < total - 1) this.go(at + 1);
    else if (act === "open" && next !== null) this.go(next);
    else if (act === "undo") this.ask({ kind: "undo" });
    else if (act === "blind") this.ask({ kind: "hide", hidden: !hidden });
    else if (act === "whole") this.ask({ kind: "see", at, whole: true });
    else if (act === "results") this.toggleResults();
    else if (act === "keys") this.help.setAttribute("aria-expanded", String(!this.keys.toggleAttribute("hidden")));
    else if (act === "copy") copied(this.model.get("content").code).then((said) => this.tell(...said));
  }

  /** @param {number} at */
  go(at) {
    if (at !== this.now.at) this.ask({ kind: "see", at });
  }

  toggleResults() {
    const hidden = this.results.toggleAttribute("hidden");
    this.root.querySelector("[data-act=results]")?.setAttribute("aria-expanded", String(!hidden));
    if (!hidden) this.send({ kind: "results" });
  }

  keepWords() {
    const words = this.words.value.trim();
    if (words !== this.now.comment.trim()) this.ask({ kind: "comment", at: this.now.at, words });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === this.words) {
      // A verdict is near: leaving the comment keeps it.
      if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        this.card.focus();
      }
      return;
    }
    const { key } = event;
    const last = this.now.total - 1;
    /** @type {Record<string, () => unknown>} */
    const acts = {
      "?": () => this.act("keys"), ArrowLeft: () => this.act("before"), k: () => this.act("before"), ArrowRight: () => this.act("after"), j: () => this.act("after"),
      Home: () => this.go(0), End: () => this.go(last), n: () => this.act("open"), u: () => this.act("undo"), b: () => this.act("blind"), w: () => this.act("whole"),
      r: () => this.act("results"), c: () => this.words.focus(), Escape: () => this.escape(),
    };
    const act = BY_KEY[key] ? () => this.act(BY_KEY[key]) : acts[key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  escape() {
    if (!this.keys.hidden) this.act("keys");
    else if (!this.results.hidden) this.toggleResults();
    this.card.focus();
  }

  /* -- asking the kernel -- */

  /** One after the other, each of the sample that was seen when it was said. @param {Record<string, any>} message */
  ask(message) {
    if (this.queue.length < QUEUED) this.queue.push(message);
    this.pump();
  }

  pump() {
    if (this.inFlight || !this.queue.length) return;
    const message = /** @type {Record<string, any>} */ (this.queue.shift());
    this.wanted = Boolean(message.whole);
    this.root.setAttribute("aria-busy", "true");
    this.inFlight = this.send(message);
  }

  /** @param {Record<string, any>} message */
  send(message) {
    const id = ++this.asked;
    const busy = setTimeout(() => this.tell("The kernel is busy; it answers after the cell that runs."), WAIT_MS);
    const gone = setTimeout(() => {
      this.over(id);
      this.queue = [];
      this.tell("No answer from the kernel: the last word may not be kept. Run the cell again; it goes on where you were.");
    }, LOST_MS);
    this.waiting.set(id, [busy, gone]);
    try {
      this.model.send({ ...message, id });
    } catch (error) {
      this.over(id);
      this.tell(`The kernel cannot be asked: ${error}`);
    }
    return this.waiting.has(id) ? id : 0;
  }

  /** @param {number} id */
  over(id) {
    this.waiting.get(id)?.forEach((timer) => clearTimeout(timer));
    this.waiting.delete(id);
    if (!this.waiting.size) this.root.removeAttribute("aria-busy");
    if (id === this.inFlight) this.inFlight = 0;
  }

  /** @param {any} message */
  hear(message) {
    if (!message || typeof message !== "object" || !this.waiting.has(message.id)) return;
    this.over(message.id);
    if (message.kind === "error") this.tell(String(message.message));
    else if (message.kind === "results") this.draws(message.sections);
    else if (message.kind === "now") {
      this.whole = Boolean(this.wanted);
      this.tell();
      this.show(message.now);
      if (!this.results.hidden) this.send({ kind: "results" });
    }
    this.pump();
  }

  /** @param {Section[]} sections */
  draws(sections) {
    /** @type {(one: Section) => HTMLElement} */
    const section = (one) => h("section", { class: "l-section" }, h("h4", {}, one.title), one.summary ? h("p", { class: "l-summary" }, one.summary) : null,
      ...one.marks.map(drawn), one.table ? plainTable(one.table, one.title) : null, ...one.notes.map((note) => h("p", { class: "l-soft l-note" }, note)), ...one.children.map(section));
    this.results.replaceChildren(...(sections.length ? sections.map(section) : [h("p", { class: "l-soft" }, "Nothing is judged yet.")]));
  }

  /** @param {...(string | HTMLElement)} what */
  tell(...what) {
    this.status.replaceChildren(...what);
  }
}
const BY_NAME = Object.fromEntries(VERDICTS.map(([said]) => [said, true]));

export default { render: rendering((model, el, signal) => new Reviewing(model, el, signal)) };
