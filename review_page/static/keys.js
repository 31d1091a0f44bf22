/** Keys and what they do. Letters can be switched off (WCAG 2.1.4); all else works without them. */

import { byId, html } from "./elements.js";
import { showHelp } from "./notes.js";

/** [keys to show, what they do, needs Single letters]; the help lists exactly these. */
const SHOWN = [
  ["Enter", "confirm the landmark, go to the next"],
  ["Backspace", "the landmark before"],
  ["Tab, ↑ ↓ in the list", "choose a landmark"],
  ["N, B", "next, previous landmark of the list"],
  ["← ↑ → ↓", "move by 1 pixel; with Shift 10, with Alt 0.25"],
  ["R", "back to the prediction"],
  ["M", "not visible"],
  ["F", "unsure, with a note"],
  ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
  ["PgUp, PgDn", "previous, next film"],
  ["+, -, 0", "zoom in, out, whole film"],
  ["I", "invert"],
  ["[ ]  ; '  , .", "contrast, gamma, brightness"],
  ["L, U, T, Z", "names, circles, tracing lines, loupe"],
  ["P", "place the landmark: a tap, or arrow keys and Enter"],
  ["C", "calibrate: two clicks on a ruler, or arrow keys and Enter"],
  ["G", "flag the film"],
  ["Escape", "leave what has begun"],
  ["?", "these keys"],
];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Keys {
  #page;
  #gestures;

  constructor(page, gestures) {
    this.#page = page;
    this.#gestures = gestures;
    document.addEventListener("keydown", (event) => this.#down(event));
    document.addEventListener("keyup", (event) => {
      if (event.code === "Space") gestures.isSpaceDown = false;
    });
    window.addEventListener("blur", () => (gestures.isSpaceDown = false));
    byId("help-keys").append(
      ...SHOWN.map(([keys, does]) => html("tr", {}, html("th", { scope: "row" }, keys), html("td", {}, does))),
    );
  }

  #down(event) {
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    if (this.#handle(event)) event.preventDefault();
  }

  /** Whether the key meant something. */
  #handle(event) {
    const page = this.#page;
    if (event.ctrlKey || event.metaKey) return this.#control(event);
    if (event.key in ARROWS && event.target.getAttribute?.("role") !== "listbox") {
      const step = event.shiftKey ? 10 : event.altKey ? 0.25 : 1;
      const by = ARROWS[event.key].map((part) => part * step);
      return does(() => (page.pointing.isOn ? page.pointing.move(...by) : page.edits.nudge(...by)));
    }
    if (isButton(event.target) && ["Enter", " "].includes(event.key)) return false;
    if (event.code === "Space") return does(() => (this.#gestures.isSpaceDown = true));
    const plain = this.#plain()[event.key];
    if (plain) return does(plain);
    if (event.altKey || !byId("letters").checked) return false;
    const letter = this.#letters()[event.key.toLowerCase()];
    return letter ? does(letter) : false;
  }

  #control(event) {
    const key = event.key.toLowerCase();
    if (key === "z") return does(() => this.#page.edits.change({ kind: event.shiftKey ? "redo" : "undo" }));
    if (key === "y") return does(() => this.#page.edits.change({ kind: "redo" }));
    return false;
  }

  #plain() {
    const page = this.#page;
    return {
      Enter: () => (page.pointing.isOn ? page.pointing.set() : page.edits.confirmNext()),
      Backspace: () => page.back(),
      PageUp: () => page.step(-1),
      PageDown: () => page.step(1),
      Escape: () => this.#gestures.abandon() || page.pointing.leave(),
    };
  }

  #letters() {
    const page = this.#page;
    const greys = (key, change) => () => page.greys.adjust(key, change);
    return {
      "+": () => page.view.zoom(1.25),
      "=": () => page.view.zoom(1.25),
      "-": () => page.view.zoom(0.8),
      0: () => page.view.fit(),
      "?": () => showHelp(),
      p: () => page.pointing.landmark(),
      n: () => page.chooseNeighbour(1),
      b: () => page.chooseNeighbour(-1),
      r: () => page.edits.changeChosen({ kind: "reset" }),
      m: () => page.edits.changeChosen({ kind: "state", state: "not visible", note: "" }),
      f: () => page.edits.unsure(),
      i: () => page.greys.invert(),
      "[": greys("contrast", -0.1),
      "]": greys("contrast", 0.1),
      ";": greys("gamma", -0.1),
      "'": greys("gamma", 0.1),
      ",": greys("brightness", -0.02),
      ".": greys("brightness", 0.02),
      l: () => page.looking.toggle("names"),
      u: () => page.looking.toggle("circles"),
      t: () => page.looking.toggle("lines"),
      z: () => page.looking.toggleLoupe(),
      c: () => page.pointing.ruler(),
      g: () => page.edits.flagFilm(),
    };
  }
}

function does(action) {
  action();
  return true;
}

function isTyping(target) {
  if (target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) return true;
  return target instanceof HTMLInputElement && target.type !== "checkbox";
}

function isButton(target) {
  return target instanceof HTMLButtonElement || target.tagName === "SUMMARY" || target instanceof HTMLInputElement;
}
