// @ts-check
/**
 * The page's side of a form. What is typed goes to the kernel, whose Spec alone knows what fits and which line does the
 * same. It stands behind drawing.js, in one script.
 *
 * @typedef {{name: string, label: string, kind: string, choices: string[], default: string, required: boolean,
 *   help: string, form: string, own: boolean}} Field
 * @typedef {{line: string, wrong: string, field: string}} Checked
 */

const PAUSE_MS = 120; // Between two keys nobody asks.
const SILENT_MS = 1500; // Longer silence of the kernel is told.
let forms = 0;

class SpecForm {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.id = `mlaas-form-${++forms}`;
    this.asked = 0;
    const { title, about, fields, opening } = model.get("content");
    /** @type {Map<string, HTMLInputElement | HTMLSelectElement>} */
    this.controls = new Map();
    const own = fields.filter((/** @type {Field} */ one) => one.own);
    const more = fields.filter((/** @type {Field} */ one) => !one.own);
    const grid = (/** @type {Field[]} */ some) => h("div", { class: "l-fields" }, ...some.map((one) => this.field(one)));
    this.line = h("code", {});
    this.wrong = h("div", { class: "l-wrong", role: "alert", id: `${this.id}-wrong` });
    this.said = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    this.run = h("button", { type: "submit" }, "Run");
    const copy = h("button", { type: "button" }, "Copy as code");
    this.form = h("form", {}, grid(own), more.length ? h("details", {}, h("summary", {}, "How it is launched"), grid(more)) : null,
      h("div", { class: "l-twin" }, this.line), this.wrong, h("div", { class: "l-go" }, this.run, copy));
    this.root = h("section", { class: "mlaas-live l-form", "aria-label": `${title}, form` },
      h("header", {}, h("div", { class: "l-title" }, h("h3", {}, title), h("span", { class: "l-soft" }, about))), this.form, this.said);
    for (const [name, value] of Object.entries(model.get("typed") ?? {})) {
      const control = this.controls.get(name);
      if (control && typeof value === "string") control.value = value;
    }
    this.checked(opening);
    el.replaceChildren(this.root);
    this.form.addEventListener("input", () => this.typed(), { signal });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask("submit");
    }, { signal });
    copy.addEventListener("click", async () => this.tell(...(await copied(this.line.textContent ?? ""))), { signal });
    keptKeys(this.root, signal);
    const hear = (/** @type {any} */ message) => this.hear(message);
    model.on("msg:custom", hear);
    signal.addEventListener("abort", () => {
      clearTimeout(this.pause);
      clearTimeout(this.silence);
      model.off("msg:custom", hear);
      this.root.remove();
    }, { once: true });
    if (Object.keys(this.values()).length) this.typed();
  }

  /** @param {Field} field */
  field(field) {
    const about = `${this.id}-${field.name}`;
    const rest = { name: field.name, "aria-describedby": about, "aria-required": field.required || null };
    const control = field.kind === "choice"
      ? h("select", rest, h("option", { value: "" }, field.default || "as usual"), ...field.choices.filter((one) => one !== field.default).map((one) => h("option", { value: one }, one)))
      : h("input", { ...rest, type: "text", autocomplete: "off", spellcheck: "false", placeholder: field.default || (field.required ? "" : "as usual") });
    this.controls.set(field.name, /** @type {HTMLInputElement} */ (control));
    const kind = field.kind === "choice" ? "" : ` ${field.form}`;
    return h("label", { class: "l-field" }, h("span", {}, field.label, h("span", { class: "l-soft" }, kind), field.required ? " (needed)" : ""), control,
      h("span", { class: "l-soft", id: about }, ...field.help.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part))));
  }

  values() {
    return Object.fromEntries([...this.controls].map(([name, control]) => [name, control.value]).filter(([, value]) => value !== ""));
  }

  typed() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      this.model.set("typed", this.values());
      this.model.save_changes();
      this.ask("typed");
    }, PAUSE_MS);
  }

  /** @param {string} kind */
  ask(kind) {
    clearTimeout(this.pause);
    clearTimeout(this.silence);
    this.asked += 1;
    this.model.send({ kind, id: this.asked, values: this.values() });
    this.silence = setTimeout(() => this.tell("The kernel is busy with a cell; it answers when that ends."), SILENT_MS);
  }

  /** @param {any} message */
  hear(message) {
    // Of several questions only the last one's answer is of use.
    if (!message || typeof message !== "object" || message.id !== this.asked || !this.asked) return;
    clearTimeout(this.silence);
    if (message.kind === "checked") {
      this.checked(message);
      this.tell();
    } else if (message.kind === "told") {
      this.tell(String(message.said), ...(message.code ? [" See it: ", h("code", {}, String(message.code))] : []));
    } else if (message.kind === "error") this.wrong.replaceChildren(String(message.message));
  }

  /** @param {Checked} checked */
  checked({ line, wrong, field }) {
    this.line.replaceChildren(line);
    // What is needed and not typed yet is no mistake before somebody begins.
    const begun = Object.keys(this.values()).length > 0;
    this.wrong.replaceChildren(begun ? wrong : "");
    this.run.setAttribute("aria-disabled", String(Boolean(wrong)));
    for (const [name, control] of this.controls) {
      const bad = begun && name === field;
      control.toggleAttribute("aria-invalid", bad);
      if (bad) control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", `${this.id}-${name}${bad ? ` ${this.id}-wrong` : ""}`);
    }
  }

  /** @param {...(string | HTMLElement)} words */
  tell(...words) {
    this.said.replaceChildren(...words);
  }
}

export default { render: rendering((model, el, signal) => new SpecForm(model, el, signal)) };
