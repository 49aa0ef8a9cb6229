// @ts-check
/**
 * What every live view here draws with: elements whose text is never markup, charts from places between 0 and 1, and
 * a life that ends with one signal. Of a model only get, set, on, off, save_changes and send are used, so that any host
 * of widgets can run a view. The views' files follow this one, in one script.
 *
 * @typedef {{target?: number, a?: number, b?: number, metric?: number, group?: number, error?: number,
 *   provider?: number, region?: number, only?: string, find?: string}} Which
 * @typedef {{kind: string, title?: string, rows?: any[], ticks?: [number, string][], zero?: number | null,
 *   curves?: {name: string, hue: number, faint: boolean, dots: boolean, points: [number, number][]}[], stairs?: boolean, x_title?: string,
 *   x_ticks?: [number, string][], y_ticks?: [number, string][], planes?: Plane[], at?: number | null, tone?: string,
 *   text?: string}} Mark
 * @typedef {{x_title: string, unknown: string | null, x_ticks: [number, string][], y_ticks: [number, string][],
 *   spots: {label: string, hollow: boolean, x: (number | null)[] | null, y: (number | null)[]}[]}} Plane
 * @typedef {{caption: string, left: number, under: number, columns: {title: string, unit: string, num: boolean, wrap: boolean,
 *   opens: Which}[], rows: {cells: string[][], opens: Which}[]}} Table
 * @typedef {{title: string, summary: string, marks: Mark[], table: Table | null, notes: string[],
 *   children: Section[]}} Section
 * @typedef {{get: (name: string) => any, set: (name: string, value: any) => void, save_changes: () => void,
 *   on: (name: string, call: (...given: any[]) => void) => void,
 *   off: (name: string, call: (...given: any[]) => void) => void, send: (message: any) => void}} Model
 */

const SHAPES = [
  "M-4,0A4,4 0 1 0 4,0A4,4 0 1 0 -4,0Z", "M-3.6,-3.6H3.6V3.6H-3.6Z", "M0,-4.8L4.6,3.4H-4.6Z", "M0,-5L5,0L0,5L-5,0Z",
  "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z", "M0,4.8L4.6,-3.4H-4.6Z",
];
const DASHES = ["", "7 3", "2 3", "8 3 2 3", "4 4", "1 5"];
/** @type {Record<string, string>} */
const SIGNS = { good: "✓", bad: "✗", busy: "●", mild: "○" };
const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes, and children that are elements or text.
 * @param {string} name @param {Record<string, any>} [attributes] @param {...any} children
 */
function h(name, attributes = {}, ...children) {
  const element = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return /** @type {HTMLElement} */ (element);
}

/** @param {string} tone @param {string} text */
const badge = (tone, text) =>
  h("span", { class: `l-badge l-${tone}` }, h("span", { "aria-hidden": "true" }, SIGNS[tone] ?? "○"), ` ${text}`);

/** @param {number} value */
const percent = (value) => `${(100 * value).toFixed(2)}%`;

/* ---- charts: each says the same as the table below it ---- */

/** @param {Mark} mark */
function drawn(mark) {
  if (mark.kind === "facts") {
    return h("dl", {}, ...(mark.rows ?? []).flatMap(([name, text, tone]) => [
      h("dt", {}, name), h("dd", {}, tone ? badge(tone, text) : text)]));
  }
  if (mark.kind === "progress") return progress(mark);
  if (mark.kind === "code") return h("div", {}, h("div", { class: "l-soft" }, mark.title), h("pre", { tabindex: 0 }, mark.text));
  const head = h("figcaption", {}, h("span", { class: "l-name" }, mark.title ?? ""));
  if (mark.kind === "planes") {
    const planes = mark.planes ?? [];
    (planes[0]?.spots ?? []).forEach((spot, i) => head.append(h("span", { class: "l-key" },
      h("svg:svg", { width: 14, height: 14, "aria-hidden": "true" }, shape(7, 7, i, spot.hollow)), spot.label)));
    return h("figure", {}, head, h("div", { class: "l-planes" }, ...planes.map((one) => plane(one, mark.title ?? ""))));
  }
  if (mark.kind !== "curves") return h("figure", {}, head, lanes(mark));
  for (const curve of mark.curves ?? []) {
    if (curve.faint) continue;
    const sign = [curve.dots ? null : stroke({ x1: 0, x2: 24, y1: 6, y2: 6 }, curve.hue), curve.dots ? shape(12, 6, curve.hue) : null];
    head.append(h("span", { class: "l-key" }, h("svg:svg", { width: 24, height: 12, "aria-hidden": "true" }, ...sign), curve.name));
  }
  return h("figure", {}, head, plot(mark), mark.x_title ? h("div", { class: "l-below" }, mark.x_title) : null);
}

/** n of N; without an N nobody knows how long it is. @param {Mark} mark */
const progress = (mark) => h("div", { class: "l-progress" },
  track(mark.at ?? null, mark.tone ?? "busy", mark.title ?? "", mark.text), h("div", { class: "l-soft" }, mark.text));

/** A bar from 0 to 1. @param {number | null} share @param {string} tone @param {string} name @param {string} [words] */
function track(share, tone, name, words) {
  const done = h("div", { class: share === null ? "l-done l-unknown" : "l-done" });
  if (share !== null) done.style.width = percent(share);
  const now = share === null ? {} : { "aria-valuenow": Math.round(100 * share), "aria-valuemin": 0, "aria-valuemax": 100 };
  return h("div", { class: `l-track l-${tone}`, role: "progressbar", "aria-label": name, "aria-valuetext": words, ...now }, done);
}

/** @param {Record<string, any>} ends @param {number} i */
const stroke = (ends, i) => h("svg:line", { ...ends, class: `l-curve l-h${i % 6}`, "stroke-dasharray": DASHES[i % 6] || null });

/** The shape of a series. @param {string | number} x @param {number} y @param {number} i @param {boolean} [hollow] @param {string} [kind] */
const shape = (x, y, i, hollow = false, kind = `l-h${i % 6}`) =>
  h("svg:svg", { x, y, overflow: "visible" }, h("svg:path", { d: SHAPES[i % 6], class: `${hollow ? "l-curve" : "l-fill"} ${kind}` }));

/** Quality over one price: a shape for each name, error bars both ways. @param {Plane} one @param {string} title */
function plane(one, title) {
  const high = 180;
  const aside = one.spots.filter((spot) => !spot.x);
  const wide = aside.length ? (aside.length === one.spots.length ? 0 : 0.8) : 0.97;
  const up = (/** @type {number} */ value) => high * (1 - value);
  const across = (/** @type {number} */ value) => percent(wide * value);
  const picture = h("svg:svg", { width: "100%", height: high + 24, overflow: "visible", role: "img", "aria-label": `${title}, ${one.x_title}; the table below says the same` });
  for (const [at, text] of one.y_ticks) {
    picture.append(h("svg:line", { x1: 0, x2: percent(wide || 1), y1: up(at), y2: up(at), class: "l-grid" }), h("svg:text", { x: -8, y: up(at) + 4, "text-anchor": "end" }, text));
  }
  for (const [at, text] of wide ? one.x_ticks : []) {
    picture.append(h("svg:text", { x: across(at), y: high + 18, "text-anchor": at < 0.02 ? "start" : at > 0.98 && one.unknown ? "end" : "middle" }, text));
  }
  if (one.unknown) {
    if (wide) picture.append(h("svg:line", { x1: percent(wide + 0.02), x2: percent(wide + 0.02), y1: 0, y2: high, class: "l-zero" }));
    picture.append(h("svg:text", { x: percent((wide + 1) / 2 + 0.01), y: high + 18, "text-anchor": "middle" }, one.unknown));
  }
  one.spots.forEach((spot, i) => {
    const kind = `l-whisker l-h${i % 6}`;
    const x = spot.x ? across(/** @type {number} */ (spot.x[1])) : percent(wide + 0.02 + (0.98 - wide) * ((aside.indexOf(spot) + 0.5) / aside.length));
    const y = up(/** @type {number} */ (spot.y[1]));
    // A side without an end goes on to the edge, dotted: nothing bounds it.
    for (const [end, edge] of /** @type {[number | null, number][]} */ ([[spot.y[0], 0], [spot.y[2], 1]])) {
      picture.append(h("svg:line", { x1: x, x2: x, y1: y, y2: up(end ?? edge), class: kind, "stroke-dasharray": end === null ? "2 4" : null }));
      if (end !== null) picture.append(h("svg:svg", { x, y: up(end), overflow: "visible" }, h("svg:line", { x1: -4, x2: 4, y1: 0, y2: 0, class: kind })));
    }
    for (const [end, edge] of /** @type {[number | null, number][]} */ (spot.x ? [[spot.x[0], 0], [spot.x[2], 1]] : [])) {
      picture.append(h("svg:line", { x1: x, x2: across(end ?? edge), y1: y, y2: y, class: kind, "stroke-dasharray": end === null ? "2 4" : null }));
      if (end !== null) picture.append(h("svg:line", { x1: across(end), x2: across(end), y1: y - 4, y2: y + 4, class: kind }));
    }
    picture.append(shape(x, y, i, spot.hollow));
  });
  return h("div", {}, h("div", { class: "l-frame" }, picture), h("div", { class: "l-below" }, one.x_title));
}

/** Dots with intervals, or bars: one lane for each label. @param {Mark} mark */
function lanes(mark) {
  const rows = (mark.rows ?? []).map((row, i) => {
    const hue = row.hue ?? i;
    const kind = row.tone ? `l-${row.tone}` : `l-h${hue % 6}`;
    const lane = h("svg:svg", { width: "100%", height: 22, overflow: "visible", "aria-hidden": "true" });
    if (mark.kind === "bars") {
      if (row.at !== null) lane.append(h("svg:rect", { x: 0, y: 4, width: percent(row.at), height: 14, rx: 2, class: `l-fill ${kind}` }));
    } else {
      lane.append(h("svg:line", { x1: 0, x2: "100%", y1: 11, y2: 11, class: "l-grid" }));
      if (mark.zero != null) lane.append(h("svg:line", { x1: percent(mark.zero), x2: percent(mark.zero), y1: 0, y2: 22, class: "l-zero" }));
      if (row.low !== null && row.high !== null) {
        const [a, b] = [percent(row.low), percent(row.high)];
        for (const [x1, x2, y1, y2] of [[a, b, 11, 11], [a, a, 7, 15], [b, b, 7, 15]]) {
          lane.append(h("svg:line", { x1, x2, y1, y2, class: `l-whisker ${kind}` }));
        }
      }
      if (row.at !== null) {
        lane.append(shape(percent(row.at), 11, hue, false, kind));
      }
    }
    return h("div", { class: "l-row" }, h("div", { class: "l-who" }, row.label), h("div", { class: "l-lane" }, lane),
      h("div", { class: "l-value" }, row.note));
  });
  if (mark.ticks?.length) {
    const axis = h("svg:svg", { width: "100%", height: 16, overflow: "visible", "aria-hidden": "true" },
      ...mark.ticks.map(([at, text]) => h("svg:text", { x: percent(at), y: 12, "text-anchor": "middle" }, text)));
    rows.push(h("div", { class: "l-row l-scale" }, h("div", { class: "l-who" }), h("div", { class: "l-lane" }, axis), h("div", { class: "l-value" })));
  }
  return h("div", { class: "l-rows" }, ...rows);
}

/** @param {Mark} mark */
function plot(mark) {
  const high = 180;
  const picture = h("svg:svg", { width: "100%", height: high + 24, overflow: "visible", role: "img", "aria-label": `${mark.title}; the table below says the same` });
  for (const [at, text] of mark.y_ticks ?? []) {
    const y = high * (1 - at);
    picture.append(h("svg:line", { x1: 0, x2: "100%", y1: y, y2: y, class: "l-grid" }), h("svg:text", { x: -8, y: y + 4, "text-anchor": "end" }, text));
  }
  for (const [at, text] of mark.x_ticks ?? []) {
    picture.append(h("svg:text", { x: percent(at), y: high + 18, "text-anchor": at < 0.02 ? "start" : at > 0.98 ? "end" : "middle" }, text));
  }
  for (const curve of mark.curves ?? []) {
    let before = 0;
    const steps = curve.points.flatMap(([x, y]) => {
      const stairs = mark.stairs ? [[x, before], [x, y]] : [[x, y]];
      before = y;
      return stairs;
    });
    const d = steps.map(([x, y]) => `${(1000 * x).toFixed(1)},${(high * (1 - y)).toFixed(1)}`).join("L");
    if (!d) continue;
    const pale = curve.faint || curve.dots;
    picture.append(h("svg:svg", { width: "100%", height: high, viewBox: `0 0 1000 ${high}`, preserveAspectRatio: "none" },
      h("svg:path", { d: `M${d}`, "vector-effect": "non-scaling-stroke", class: `l-curve l-h${curve.hue % 6}${pale ? " l-faint" : ""}`, "stroke-dasharray": (!pale && DASHES[curve.hue % 6]) || null })));
    if (curve.dots) picture.append(...curve.points.map(([x, y]) => shape(percent(x), high * (1 - y), curve.hue)));
  }
  return h("div", { class: "l-frame" }, picture);
}

/** An estimate and its interval, each in one piece: where room is scarce the interval stands below. @param {string} text */
const ranged = (text) => text.split(/ (?=\()/).flatMap((piece, i) => [i ? " " : null, h("span", { class: "l-whole" }, piece)]);

/** The classes of a cell. @param {{num: boolean, wrap: boolean}} column @param {string} text */
const kindOf = (column, text) =>
  [column.num ? "l-num" : column.wrap ? "l-wrap" : "", column.num ? (text.includes(" (") ? "l-ranged" : "") : text.length <= 22 ? "l-whole" : ""].join(" ").trim() || null;

/** A table that says what it says and opens nothing. @param {Table} table @param {string} title */
function plainTable(table, title) {
  return h("div", { class: "l-scroll", tabindex: 0, role: "region", "aria-label": table.caption || title },
    h("table", { class: `l-under-${table.under}` }, h("thead", {}, h("tr", {}, ...table.columns.map((column) =>
      h("th", { scope: "col", class: column.num ? "l-num" : null }, column.title, column.unit ? h("span", { class: "l-soft" }, ` ${column.unit}`) : null)))),
    h("tbody", {}, ...table.rows.map((row) => h("tr", {}, ...row.cells.map(([text, tone], x) =>
      h("td", { class: kindOf(table.columns[x], text), "data-label": table.columns[x].title, dir: "auto" },
        tone ? badge(tone, text) : table.columns[x].num ? ranged(text) : text)))))),
    table.left > 0 ? h("p", { class: "l-soft" }, `… ${table.left.toLocaleString("en")} more rows`) : null);
}

/** A way to another page; only http and https lead anywhere. @param {string} words @param {string} url */
const link = (words, url) => (/^https?:\/\//i.test(url)
  ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, words, h("span", { "aria-hidden": "true" }, " ↗"))
  : h("span", {}, words));

/**
 * Makes the children of `parent` those of `wanted`, each by a key that says all of it; one that is as it was stays, and
 * one that takes the place of what had the focus gets it.
 * @param {HTMLElement} parent @param {[string, () => HTMLElement][]} wanted
 */
function replaced(parent, wanted) {
  wanted.forEach(([key, make], i) => {
    const before = /** @type {HTMLElement & {key?: string} | undefined} */ (parent.children[i]);
    if (before?.key === key) return;
    const root = /** @type {Document | ShadowRoot} */ (parent.getRootNode());
    const held = before?.contains(root.activeElement ?? null) ? focusable(before).indexOf(/** @type {HTMLElement} */ (root.activeElement)) : -1;
    const after = /** @type {HTMLElement & {key?: string}} */ (make());
    after.key = key;
    if (before) before.replaceWith(after);
    else parent.append(after);
    if (held >= 0) focusable(after)[held]?.focus({ preventScroll: true });
  });
  while (parent.children.length > wanted.length) parent.lastElementChild?.remove();
}

/** @param {HTMLElement} element @returns {HTMLElement[]} */
const focusable = (element) => [...element.querySelectorAll("a, button, summary, input, select, [tabindex]")].map((one) => /** @type {HTMLElement} */ (one));

/** A notebook would take plain keys for its own commands: two d delete a cell. @param {HTMLElement} root @param {AbortSignal} signal */
function keptKeys(root, signal) {
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || (event.key === "Enter" && event.shiftKey)) return;
    event.stopPropagation();
  }, { signal });
}

/**
 * Copies `code` if the browser lets us; what to say of it.
 * @param {string} code
 */
async function copied(code) {
  let said = "Copied: ";
  try {
    await navigator.clipboard.writeText(code);
  } catch {
    said = "To copy: "; // The browser keeps its clipboard to itself here.
  }
  return [said, h("code", {}, code)];
}

/**
 * A widget's `render` of a view that ends with its host's signal, or when what is returned is called.
 * @param {(model: Model, el: HTMLElement, signal: AbortSignal) => unknown} begin
 */
function rendering(begin) {
  return (/** @type {{model: Model, el: HTMLElement, signal?: AbortSignal}} */ { model, el, signal }) => {
    const life = new AbortController();
    if (signal?.aborted) return undefined;
    signal?.addEventListener("abort", () => life.abort(), { once: true, signal: life.signal });
    begin(model, el, life.signal);
    return () => life.abort();
  };
}

