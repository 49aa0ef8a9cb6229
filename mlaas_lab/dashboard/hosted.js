// @ts-check
/** A view that was written for hosts of widgets, in this host: it stands behind the view's own script. */

const hosted = (/** @type {any} */ model) => {
  const named = (/** @type {string} */ event) => (event.startsWith("change:") ? event.slice("change:".length) : event);
  /** @type {Map<any, any>} */
  const heard = new Map();
  return {
    get: (/** @type {string} */ name) => model[name],
    set: (/** @type {string} */ name, /** @type {any} */ value) => { model[name] = value; },
    save_changes: () => {},
    on: (/** @type {string} */ event, /** @type {any} */ call) => {
      heard.set(call, (/** @type {any} */ given) => call(given?.data ?? given));
      model.on(named(event), heard.get(call));
    },
    off: (/** @type {string} */ event, /** @type {any} */ call) => model.off(named(event), heard.get(call)),
    send: (/** @type {any} */ message) => model.send_msg(message),
  };
};

export function render(/** @type {any} */ { model, el }) {
  const place = document.createElement("div");
  el.replaceChildren(place);
  // What the view keeps ends with the page or with the host's own end of it.
  const life = new AbortController();
  model.on("remove", () => life.abort());
  shown.render({ model: hosted(model), el: place, signal: life.signal });
}
