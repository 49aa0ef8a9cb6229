// @ts-check
/**
 * The page's side of a table of jobs. It sorts, filters and turns pages itself, so that works while a cell runs, and
 * only the rows of one page are ever drawn. It stands behind drawing.js and asking.js, in one script.
 *
 * @typedef {{id: string, nr: number, task: string, name: string, state: string, tone: string, alive: boolean,
 *   share: number | null, spent: string, created: number | null, started: number | null, ended: number | null,
 *   why: string}} Job
 */

const ROWS = 25;
const WAIT_MS = 1500; // Longer silence of the kernel is told.
const FIELDS = ["id", "nr", "task", "name", "state", "tone", "alive", "share", "spent", "created", "started", "ended", "why"];
/** @type {[string, string, (job: Job) => string | number][]} */
const COLUMNS = [
  ["Job", "", (job) => job.nr], ["State", "", (job) => job.state], ["Task", "l-aside", (job) => job.task], ["Name", "", (job) => job.name],
  ["Progress", "", (job) => job.share ?? -1], ["Took", "l-num", (job) => took(job) ?? -1], ["Started", "l-aside", (job) => job.started ?? 0],
];

/** @param {Job} job */
const took = (job) => (job.started === null ? null : Math.max(0, (job.ended ?? Date.now() / 1000) - job.started));

/** As the static table says it. @param {number | null} seconds */
function lasted(seconds) {
  if (seconds === null) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

class JobTable {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.signal = signal;
    this.asked = 0;
    this.page = 0;
    this.by = 0;
    this.down = true;
    /** @type {Set<string>} */
    this.opened = new Set();
    /** @type {Map<string, Job>} */
    this.jobs = new Map();
    const { title, code } = model.get("content");
    const button = (/** @type {string} */ words, /** @type {string} */ label) => h("button", { type: "button", "aria-label": label, title: label }, words);
    this.copy = h("button", { type: "button" }, "Copy as code");
    this.find = /** @type {HTMLInputElement} */ (h("input", { type: "search", maxlength: 200, autocomplete: "off", spellcheck: "false", placeholder: "id, name, error" }));
    this.states = /** @type {HTMLSelectElement} */ (h("select", {}));
    this.tasks = /** @type {HTMLSelectElement} */ (h("select", {}));
    this.heads = COLUMNS.map(([words, kind]) => h("th", { scope: "col", class: kind || null }, h("button", { type: "button" }, words)));
    this.body = h("tbody", {});
    this.count = h("p", { class: "l-soft", role: "status" });
    this.back = button("‹", "Previous page");
    this.next = button("›", "Next page");
    this.where = h("span", { class: "l-where" });
    this.said = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    const label = (/** @type {string} */ words, /** @type {HTMLElement} */ control, kind = "") => h("label", { class: kind || null }, h("span", { class: "l-soft" }, words), control);
    this.root = h("section", { class: "mlaas-live l-jobs", "aria-label": `${title}, live` },
      h("header", {}, h("div", { class: "l-title" }, h("h3", {}, title)), h("div", { class: "l-tools" }, this.copy)),
      h("div", { class: "l-filters", role: "search", "aria-label": "Which jobs" }, label("State", this.states), label("Task", this.tasks), label("Words", this.find, "l-find")),
      h("div", { class: "l-line" }, this.count, h("div", { class: "l-pager", role: "group", "aria-label": "Pages" }, this.back, this.where, this.next)),
      h("div", { class: "l-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...this.heads, h("th", { scope: "col", "aria-label": "Stop it" }))), this.body)), this.said);
    this.listen(code);
    this.read();
    el.replaceChildren(this.root);
  }

  /** @param {string} code */
  listen(code) {
    const ours = { signal: this.signal };
    this.copy.addEventListener("click", async () => this.tell(...(await copied(code))), ours);
    for (const control of [this.states, this.tasks, this.find]) control.addEventListener("input", () => this.turn(0), ours);
    this.back.addEventListener("click", () => this.turn(this.page - 1), ours);
    this.next.addEventListener("click", () => this.turn(this.page + 1), ours);
    this.heads.forEach((head, i) => head.addEventListener("click", () => this.sort(i), ours));
    this.body.addEventListener("click", (event) => this.click(/** @type {HTMLElement} */ (event.target)), ours);
    keptKeys(this.root, this.signal);
    const read = () => this.read();
    const merge = () => this.merge();
    const hear = (/** @type {any} */ message) => this.hear(message);
    this.model.on("change:rows", read);
    this.model.on("change:changed", merge);
    this.model.on("msg:custom", hear);
    // What runs takes longer every second, whether or not the kernel says so.
    const pulse = setInterval(() => this.shown?.some((job) => job.alive) && this.draw(), 1000);
    this.signal.addEventListener("abort", () => {
      clearInterval(pulse);
      clearTimeout(this.timer);
      this.model.off("change:rows", read);
      this.model.off("change:changed", merge);
      this.model.off("msg:custom", hear);
      this.root.remove();
    }, { once: true });
  }

  read() {
    const bytes = this.model.get("rows");
    /** @type {any[][]} */
    const rows = JSON.parse(new TextDecoder().decode(bytes));
    this.jobs = new Map(rows.map((row) => [row[0], this.job(row)]));
    this.merge();
  }

  /** @param {any[]} row @returns {Job} */
  job(row) {
    return /** @type {any} */ (Object.fromEntries(FIELDS.map((name, i) => [name, row[i]])));
  }

  merge() {
    for (const [id, row] of Object.entries(this.model.get("changed") ?? {})) {
      if (row) this.jobs.set(id, this.job(/** @type {any[]} */ (row)));
      else this.jobs.delete(id);
    }
    const all = [...this.jobs.values()];
    this.offer(this.states, [["", "all"], ["alive", "alive"], ...named(all.map((job) => job.state))]);
    this.offer(this.tasks, [["", "all"], ...named(all.map((job) => job.task))]);
    this.turn(this.page);
  }

  /** @param {HTMLSelectElement} control @param {[string, string][]} choices */
  offer(control, choices) {
    const chosen = control.value;
    replaced(control, choices.map(([value, words]) => [value + words, () => h("option", { value }, words)]));
    control.value = choices.some(([value]) => value === chosen) ? chosen : "";
  }

  /** @param {number} by */
  sort(by) {
    this.down = by === this.by ? !this.down : by === 0;
    this.by = by;
    this.turn(0);
  }

  /** Chooses and sorts, and shows that page. @param {number} page */
  turn(page) {
    const [state, task, words] = [this.states.value, this.tasks.value, this.find.value.trim().toLowerCase()];
    const chosen = [...this.jobs.values()].filter((job) =>
      (!state || (state === "alive" ? job.alive : job.state === state)) && (!task || job.task === task) &&
      (!words || `${job.id} ${job.name} ${job.task} ${job.why}`.toLowerCase().includes(words)));
    const key = COLUMNS[this.by][2];
    const sign = this.down ? -1 : 1;
    const keyed = chosen.map((job) => /** @type {const} */ ([key(job), job]));
    keyed.sort(([a, x], [b, y]) => (a < b ? -sign : a > b ? sign : y.nr - x.nr));
    this.page = Math.min(Math.max(0, page), Math.max(0, Math.ceil(keyed.length / ROWS) - 1));
    const from = this.page * ROWS;
    this.shown = keyed.slice(from, from + ROWS).map(([, job]) => job);
    const number = (/** @type {number} */ n) => n.toLocaleString("en");
    const count = keyed.length === this.jobs.size ? `${number(keyed.length)} ${keyed.length === 1 ? "job" : "jobs"}` : `${number(keyed.length)} of ${number(this.jobs.size)} jobs`;
    if (this.count.textContent !== count) this.count.replaceChildren(count);
    this.where.replaceChildren(keyed.length ? `${number(from + 1)}–${number(from + this.shown.length)}` : "none");
    this.back.setAttribute("aria-disabled", String(from === 0));
    this.next.setAttribute("aria-disabled", String(from + ROWS >= keyed.length));
    this.heads.forEach((head, i) => {
      if (i === this.by) head.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.draw();
  }

  draw() {
    replaced(this.body, (this.shown ?? []).flatMap((job) => {
      const open = this.opened.has(job.id);
      /** @type {[string, () => HTMLElement]} */
      const line = [JSON.stringify([job, open, lasted(took(job))]), () => this.row(job, open)];
      return open ? [line, /** @type {[string, () => HTMLElement]} */ ([`more ${JSON.stringify(job)}`, () => this.more(job)])] : [line];
    }));
  }

  /** @param {Job} job @param {boolean} open */
  row(job, open) {
    const share = job.share === null ? "–" : `${Math.round(100 * job.share)} %`;
    const bar = job.alive && job.share !== null ? track(job.share, job.tone, `${job.name}: ${share}`) : null;
    const began = job.started === null ? "–" : new Date(1000 * job.started).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    return h("tr", {},
      h("td", {}, h("button", { type: "button", class: "l-open", "data-open": job.id, "aria-expanded": open }, job.id)),
      h("td", {}, badge(job.tone, job.state)), h("td", { class: "l-aside" }, job.task), h("td", { class: "l-one", dir: "auto" }, job.name),
      h("td", {}, h("span", { class: "l-soft" }, share), bar), h("td", { class: "l-num" }, lasted(took(job))), h("td", { class: "l-aside l-soft l-whole" }, began),
      h("td", {}, job.alive ? h("button", { type: "button", class: "l-stop", "data-stop": job.id, "aria-label": `Cancel ${job.name} ${job.id}` }, "Cancel") : null));
  }

  /** @param {Job} job */
  more(job) {
    return h("tr", { class: "l-detail" }, h("td", { colspan: COLUMNS.length + 1 },
      job.why ? h("pre", { tabindex: 0 }, job.why) : null,
      job.spent ? h("p", {}, `Spent: ${job.spent}`) : null,
      h("p", { class: "l-soft" }, "In a cell: ", h("code", {}, `%mlaas attach ${job.id}`), " ", h("code", {}, `%mlaas logs ${job.id}`))));
  }

  /** @param {HTMLElement} at */
  click(at) {
    const open = /** @type {HTMLElement | null} */ (at.closest("[data-open]"))?.dataset.open;
    const stop = /** @type {HTMLElement | null} */ (at.closest("[data-stop]"))?.dataset.stop;
    if (open) {
      if (!this.opened.delete(open)) this.opened.add(open);
      this.draw();
    } else if (stop) void this.cancel(stop);
  }

  /** @param {string} id */
  async cancel(id) {
    this.tell(`Asking ${id} to stop …`);
    const stopped = await byServer(`jobs/${encodeURIComponent(id)}/cancel`, this.signal);
    if (this.signal.aborted) return;
    if (stopped) return this.tell(`${id} was asked to stop; it keeps what is worth keeping.`);
    this.asked += 1;
    this.model.send({ kind: "cancel", id: this.asked, job: id });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell("The kernel is busy with a cell and asks when that ends. At once, in a terminal: ", h("code", {}, `mlaas cancel ${id}`)), WAIT_MS);
  }

  /** @param {any} message */
  hear(message) {
    if (!message || typeof message !== "object" || message.id !== this.asked || !this.asked) return;
    if (message.kind !== "told" && message.kind !== "error") return;
    clearTimeout(this.timer);
    this.tell(String(message.kind === "told" ? message.said : message.message));
  }

  /** @param {...(string | HTMLElement)} words */
  tell(...words) {
    this.said.replaceChildren(...words);
  }
}

/** @param {string[]} names @returns {[string, string][]} */
const named = (names) => [...new Set(names)].sort().map((name) => [name, name]);

export default { render: rendering((model, el, signal) => new JobTable(model, el, signal)) };
