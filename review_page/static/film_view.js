/** The film on its stage: picture, greys, landmarks, circles, lines. Draws what it is told; changes nothing. */

import { byId, svg } from "./elements.js";
import { fit, greyTable, panned, revealed, toImage, zoomAt } from "./geometry.js";

const HANDLE = 40; // CSS pixels from a landmark down to the handle for fingers
const CIRCLE_68 = 0.95; // of the rms radial error: the radius that holds 68 % of the landmarks

const SHAPES = {
  predicted: "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0M0-1.2V1.2M-1.2 0H1.2",
  confirmed: "M-5-5H5V5H-5ZM-1 0H1M0-1V1",
  moved: "M0-7L7 0L0 7L-7 0ZM-1 0H1M0-1V1",
  unsure: "M0-7L7 5H-7ZM-1 0H1M0-1V1",
};

export class FilmView {
  shown = { names: true, circles: true, lines: true };
  greys = { contrast: 1, brightness: 0, gamma: 1, inverted: false };
  view = { scale: 1, x: 0, y: 0 };
  film = null; // with changes under way
  chosen = null;
  isFitted = true; // whether the whole film is shown, whatever the size of the stage
  rule = { ends: [], cross: null };
  isTouched = false; // whether fingers are used: then the handle is there
  #marks = new Map();

  constructor() {
    this.stage = byId("stage");
    this.lastSize = this.size;
    new ResizeObserver(() => this.#resized()).observe(this.stage);
    this.#drawGreys();
  }

  get size() {
    return { width: this.stage.clientWidth || 1, height: this.stage.clientHeight || 1 };
  }

  /** A picture that replaces the one before; the view stays where ``keepsView``. */
  open(film, address, keepsView) {
    const isNew = this.film === null || this.film.id !== film.id;
    this.film = film;
    for (const name of ["picture", "loupe-picture"]) {
      const picture = byId(name);
      picture.setAttribute("width", film.width);
      picture.setAttribute("height", film.height);
      if (address !== null) picture.setAttribute("href", address);
    }
    if (isNew && !keepsView) this.fit();
  }

  async pictureReady() {
    const picture = new Image();
    picture.src = byId("picture").getAttribute("href");
    await picture.decode();
  }

  fit() {
    if (!this.film) return;
    this.view = fit(this.film, this.size);
    this.isFitted = true;
    this.draw();
  }

  zoom(factor, point = { x: this.size.width / 2, y: this.size.height / 2 }) {
    if (!this.film) return;
    this.isFitted = false;
    this.view = zoomAt(this.view, factor, point, fit(this.film, this.size).scale);
    this.draw();
  }

  pan(dx, dy) {
    this.isFitted = false;
    this.view = panned(this.view, dx, dy);
    this.#place();
  }

  reveal(landmark) {
    if (landmark.x === null) return;
    this.view = revealed(this.view, landmark, this.size);
    this.#place();
  }

  /** A point of the image from a pointer event. */
  imagePoint(event) {
    return toImage(this.view, this.stagePoint(event));
  }

  stagePoint(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  setGreys(change) {
    this.greys = { ...this.greys, ...change };
    this.#drawGreys();
  }

  #drawGreys() {
    const { contrast, brightness, gamma, inverted } = this.greys;
    const isPlain = contrast === 1 && brightness === 0 && gamma === 1 && !inverted;
    const table = greyTable(this.greys)
      .map((grey) => grey.toFixed(4))
      .join(" ");
    for (const part of document.querySelectorAll("#greys feComponentTransfer > *")) {
      part.setAttribute("tableValues", table);
    }
    for (const name of ["picture", "loupe-picture"]) {
      if (isPlain) byId(name).removeAttribute("filter");
      else byId(name).setAttribute("filter", "url(#greys)");
    }
  }

  /** Draw landmarks and lines; ``lines`` are pairs of indices. */
  draw(lines = this.lines ?? []) {
    this.lines = lines;
    if (!this.film) return;
    this.#place();
    byId("tracing").replaceChildren(...(this.shown.lines ? this.#tracing(lines) : []));
    byId("rings").replaceChildren(...(this.shown.circles ? this.#rings() : []));
    this.#drawMarks();
    this.drawRule();
  }

  #place() {
    const { scale, x, y } = this.view;
    byId("view").setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${x} ${y})`);
  }

  #tracing(lines) {
    const { landmarks } = this.film;
    return lines
      .map(([one, two]) => [landmarks[one], landmarks[two]])
      .filter(([one, two]) => one.x !== null && two.x !== null)
      .map(([one, two]) => svg("line", { x1: one.x, y1: one.y, x2: two.x, y2: two.y }));
  }

  #rings() {
    return this.film.landmarks
      .filter((landmark) => landmark.predicted !== null && landmark.u_px !== null)
      .map((landmark) =>
        svg("circle", {
          cx: landmark.predicted.x,
          cy: landmark.predicted.y,
          r: CIRCLE_68 * landmark.u_px,
          class: landmark.index === this.chosen ? "chosen" : null,
        }),
      );
  }

  #drawMarks() {
    const group = byId("marks");
    const placed = this.film.landmarks.filter((landmark) => landmark.x !== null);
    group.replaceChildren(...placed.map((landmark) => this.#mark(landmark)));
    const chosen = placed.find((landmark) => landmark.index === this.chosen);
    if (chosen) group.append(this.#marks.get(chosen.index)); // drawn last: on top
  }

  #mark(landmark) {
    const isChosen = landmark.index === this.chosen;
    const name = this.abbreviations[landmark.index];
    const mark = svg(
      "g",
      {
        class: `mark ${landmark.state}${isChosen ? " chosen" : ""}`,
        transform: `translate(${landmark.x} ${landmark.y}) scale(${1 / this.view.scale})`,
        "data-index": landmark.index,
      },
      svg("path", { class: "halo", d: SHAPES[landmark.state] }),
      svg("path", { class: "shape", d: SHAPES[landmark.state] }),
      this.shown.names || isChosen ? svg("text", { x: 9, y: -7 }, name) : null,
      isChosen && this.isTouched ? this.#handle() : null,
    );
    this.#marks.set(landmark.index, mark);
    return mark;
  }

  #handle() {
    return svg(
      "g",
      { class: "handle" },
      svg("line", { x1: 0, y1: 8, x2: 0, y2: HANDLE - 14 }),
      svg("circle", { cx: 0, cy: HANDLE, r: 14 }),
    );
  }

  /** The ends of a ruler, and the cross that keys move, while a place is asked for. */
  drawRule(ends = this.rule.ends, cross = this.rule.cross) {
    this.rule = { ends, cross };
    const drawn = (point, kind) =>
      svg("path", {
        class: kind,
        d: kind === "cross" ? "M-16 0H-4M4 0H16M0-16V-4M0 4V16" : "M-8 0H8M0-8V8",
        transform: `translate(${point.x} ${point.y}) scale(${1 / this.view.scale})`,
      });
    const line = ends.length === 2 ? { x1: ends[0].x, y1: ends[0].y, x2: ends[1].x, y2: ends[1].y } : null;
    byId("rule").replaceChildren(
      ...ends.map((end) => drawn(end, "end")),
      ...(cross ? [drawn(cross, "cross")] : []),
      ...(line ? [svg("line", line)] : []),
    );
  }

  /** A whole film stays whole; any other view keeps its middle. */
  #resized() {
    const before = this.lastSize;
    this.lastSize = this.size;
    if (!this.film) return;
    if (this.isFitted) this.fit();
    else this.pan((this.size.width - before.width) / 2, (this.size.height - before.height) / 2);
  }
}
