// @ts-check
/** A small form: fields, one button, and what came of it. It stands behind drawing.js, in one script. */

let forms = 0;

class Asking {
  /** @param {Model} model @param {HTMLElement} el @param {AbortSignal} signal */
  constructor(model, el, signal) {
    this.model = model;
    this.id = `mlaas-form-${++forms}`;
    const { act, fields } = model.get("content");
    /** @type {Map<string, any>} */
    this.inputs = new Map();
    this.button = h("button", { type: "submit", class: "d-act" }, act);
    this.status = h("div", { class: "l-status", role: "status", "aria-live": "polite" });
    this.root = h("form", { class: "mlaas-live d-form", autocomplete: "off" },
      h("div", { class: "d-fields" }, ...fields.map((/** @type {any} */ field) => this.field(field)), this.button), this.status);
    this.root.addEventListener("submit", (event) => { event.preventDefault(); this.send(); }, { signal });
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send();
    }, { signal });
    const hear = (/** @type {any} */ message) => this.hear(message);
    model.on("msg:custom", hear);
    signal.addEventListener("abort", () => { model.off("msg:custom", hear); this.root.remove(); }, { once: true });
    el.replaceChildren(this.root);
  }

  /** @param {{name: string, label: string, value: any, choices: string[], long: boolean, fixed: boolean, needed: boolean}} field */
  field({ name, label, value, choices, long, fixed, needed }) {
    const id = `${this.id}-${name}`;
    const tick = typeof value === "boolean";
    const input = choices.length
      ? h("select", { id }, ...choices.map((words, i) => h("option", { value: i }, words)))
      : long ? h("textarea", { id, rows: 2, dir: "auto", maxlength: 4000 }) : h("input", { id, type: tick ? "checkbox" : "text", dir: "auto", maxlength: 120 });
    if (tick) /** @type {HTMLInputElement} */ (input).checked = value;
    else /** @type {HTMLInputElement} */ (input).value = value;
    if (fixed) input.setAttribute("disabled", "");
    if (needed) input.setAttribute("required", "");
    this.inputs.set(name, input);
    return h("label", { class: `d-field${tick ? " d-tick" : ""}${long ? " d-long" : ""}`, for: id }, h("span", {}, label), input);
  }

  send() {
    if (this.button.getAttribute("aria-disabled") === "true" || !/** @type {HTMLFormElement} */ (this.root).reportValidity()) return;
    const said = Object.fromEntries([...this.inputs].map(([name, input]) =>
      [name, input.type === "checkbox" ? input.checked : input.tagName === "SELECT" ? Number(input.value) : input.value]));
    this.button.setAttribute("aria-disabled", "true");
    this.status.textContent = "…";
    this.model.send({ said });
  }

  /** @param {any} message */
  hear(message) {
    this.button.removeAttribute("aria-disabled");
    this.status.className = `l-status${message.wrong ? " l-bad" : ""}`;
    this.status.textContent = `${message.wrong ? "✗ " : ""}${message.told ?? ""}`;
    if (!message.wrong) for (const input of this.inputs.values()) if (input.tagName === "TEXTAREA") input.value = "";
  }
}

export default { render: rendering((model, el, signal) => new Asking(model, el, signal)) };
