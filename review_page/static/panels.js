/** What stands around the film: landmarks, measurements, history, the header. Draws what it is told. */

import { unsettled } from "./case_state.js";
import { byId, html } from "./elements.js";

const SIGNS = { predicted: "○", confirmed: "■", moved: "◆", unsure: "△", "not visible": "–" };
const FLAGS = {
  coarse: "too coarse to tell patients apart",
  "scale-unknown": "the millimetre is not known",
  "scale-unlikely": "no head is as large or small as the spacing has it",
  "inferred-landmark": "needs a landmark whose name was inferred",
  "norm-population": "the patient may not be of the norm's population",
  "norm-unverified": "the norm's figures are unverified",
};

export function drawQueue(film, order, chosen, names, onChoose) {
  const rows = order.map((index) => {
    const landmark = film.landmarks[index];
    const doubt = doubtOf(landmark);
    const why = [landmark.why, landmark.note && `“${landmark.note}”`].filter(Boolean).join(" ");
    return html(
      "li",
      {
        role: "option",
        id: `landmark-${index}`,
        "aria-selected": index === chosen ? "true" : "false",
        class: landmark.state.replace(" ", "-"),
        onclick: () => onChoose(index),
      },
      html("span", { class: "sign", "aria-hidden": "true" }, SIGNS[landmark.state]),
      html("span", { class: "name" }, names[index]),
      html("span", { class: "doubt" }, doubt),
      html("span", { class: "state" }, landmark.state),
      why ? html("span", { class: "why" }, why) : null,
    );
  });
  const queue = byId("queue");
  const top = queue.scrollTop;
  queue.replaceChildren(...rows);
  queue.scrollTop = top;
  if (chosen === null) queue.removeAttribute("aria-activedescendant");
  else {
    queue.setAttribute("aria-activedescendant", `landmark-${chosen}`);
    const row = byId(`landmark-${chosen}`);
    if (row) scrollTo(queue, row);
  }
}

/** Only the list is scrolled: the film must not leave a small screen. */
function scrollTo(list, row) {
  const shown = list.getBoundingClientRect();
  const { top, bottom } = row.getBoundingClientRect();
  if (top < shown.top) list.scrollTop -= shown.top - top;
  else if (bottom > shown.bottom) list.scrollTop += bottom - shown.bottom;
}

function doubtOf(landmark) {
  if (landmark.u_mm !== null) return `± ${landmark.u_mm.toFixed(1)} mm`;
  return landmark.u_px === null ? "" : `± ${landmark.u_px.toFixed(0)} px`;
}

const UNITS = { deg: "°", mm: " mm", ratio: "" };

function figure(value, unit) {
  return value.toFixed(unit === "ratio" ? 3 : 1);
}

export function drawMeasurements(rows, highlighted) {
  byId("measurements-section").hidden = rows.length === 0;
  const body = byId("measurements").tBodies[0];
  body.replaceChildren(
    ...rows.map((row) =>
      html(
        "tr",
        { class: row.drivers.some((driver) => driver.index === highlighted) ? "driven" : null },
        html("th", { scope: "row", title: row.name }, row.code, ...marksOf(row.flags)),
        html("td", { class: "number" }, ...valueOf(row)),
        html("td", {}, classesOf(row.classes)),
        html("td", { title: row.norm ? row.norm.population : null }, ...normOf(row)),
      ),
    ),
  );
}

function valueOf(row) {
  if (row.value === null) return ["–"];
  const unit = UNITS[row.unit] ?? ` ${row.unit}`;
  const value = `${figure(row.value, row.unit)}${unit}`;
  if (row.sd === null) return [value];
  const interval = `${figure(row.low, row.unit)} to ${figure(row.high, row.unit)}`;
  return [`${value} ± ${figure(row.sd, row.unit)}`, html("small", {}, interval)];
}

function classesOf(classes) {
  return [...classes]
    .sort((one, other) => other.probability - one.probability)
    .filter(({ probability }, place) => place === 0 || probability >= 0.2)
    .map(({ name, probability }) => `${name} ${Math.round(100 * probability)} %`)
    .join(", ");
}

function normOf(row) {
  if (!row.norm) return [""];
  const { mean, sd } = row.norm;
  const text = `${figure(mean, row.unit)}${sd ? ` ± ${figure(sd, row.unit)}` : ""}`;
  return [text, html("small", {}, whose(row.norm))];
}

/** Whose norm it is, and how far its figures can be believed. */
export function whose({ population, sex, verified }) {
  return [population, sex === "both" ? "" : sex, verified ? "" : "unverified"].filter(Boolean).join(", ");
}

function marksOf(flags) {
  const words = flags.map((flag) => FLAGS[flag] ?? flag);
  return words.length ? [html("abbr", { title: words.join("; ") }, "*")] : [];
}

export function drawHistory(entries) {
  byId("history").replaceChildren(
    ...entries.map(({ time, reader, text }) =>
      html("li", {}, `${new Date(time).toLocaleString()} ${reader || "unnamed"}: ${text}`),
    ),
  );
}

export function drawBanner(sentences) {
  byId("banner").hidden = sentences.length === 0;
  byId("banner").replaceChildren(...sentences.map((sentence) => html("p", {}, sentence)));
}

/** ``read`` films of ``all`` in a blind reading, null elsewhere. */
export function drawHeader(film, { place, shown, read, all }) {
  const open = unsettled(film).length;
  byId("film-name").textContent = film.name;
  const where = read === null ? `${place} of ${shown}` : `${read} of ${all} read`;
  byId("position").textContent = `${where}, ${open ? `${open} landmarks open` : film.state}`;
  const isLocked = film.state === "locked";
  byId("reviewed").textContent = film.state === "open" ? "Film reviewed" : "Open again";
  byId("reviewed").disabled = isLocked || (film.state === "open" && open > 0);
  byId("lock").textContent = isLocked ? "Unlock" : "Lock";
  byId("lock").disabled = !isLocked && open > 0;
  byId("flag").setAttribute("aria-pressed", film.flagged ? "true" : "false");
  byId("flag").title = film.flag_note || "Flag the film, with a note (G)";
  byId("undo").disabled = !film.can_undo;
  byId("redo").disabled = !film.can_redo;
  byId("film-order").disabled = read !== null;
  const sides = new Set((film.spacing_mm ?? []).map((side) => side.toFixed(4))); // one, of square pixels
  const scale = `${[...sides].join(" x ")} mm a pixel (${film.spacing_source})`;
  byId("spacing").textContent = film.spacing_mm ? scale : "no scale";
}

export function drawFilmList(films, current) {
  const sign = { open: "", reviewed: "✓ ", locked: "✓✓ " };
  byId("film-list").replaceChildren(
    ...films.map((film) =>
      html(
        "option",
        { value: film.id, selected: film.id === current },
        `${film.plausible === false ? "! " : ""}${sign[film.state]}${film.flagged ? "⚑ " : ""}${film.name}`,
      ),
    ),
  );
}

export function drawTool(landmark, name, hint, canChange) {
  for (const id of ["confirm", "back", "by-tap", "reset", "not-visible", "unsure"]) {
    byId(id).disabled = !canChange || landmark === null;
  }
  byId("hint").textContent = landmark === null ? "" : [name, hint].filter(Boolean).join(": ");
}
