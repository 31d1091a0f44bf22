/** Mouse, pen and fingers on the film. One landmark a gesture, and only the chosen one moves: no accidents. */

import { byId } from "./elements.js";
import { nearest, onFilm } from "./geometry.js";

const THRESHOLD = 3; // CSS pixels before a press is a drag
const REACH = { mouse: 12, pen: 16, touch: 26 }; // CSS pixels
const ZOOM_STEP = 1.0015; // a wheel's unit

export class Gestures {
  #page;
  #film;
  #fingers = new Map(); // pointer -> where it was last
  #gesture = null; // {kind: "drag" | "pan" | "pinch", ...}
  isSpaceDown = false;

  constructor(page) {
    this.#page = page;
    this.#film = page.view;
    const stage = byId("film");
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#cancelled(event));
    stage.addEventListener("pointerleave", () => this.#page.looking.atChosen());
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("auxclick", (event) => event.preventDefault());
  }

  /** Forget a drag that has begun: the landmark stays where it was. */
  abandon() {
    const wasDrag = this.#gesture?.kind === "drag";
    this.#gesture = null;
    if (wasDrag) this.#page.dragged(null);
    return wasDrag;
  }

  #down(event) {
    if (!this.#film.film) return;
    byId("film").focus({ preventScroll: true });
    byId("film").setPointerCapture(event.pointerId);
    const point = this.#film.stagePoint(event);
    this.#fingers.set(event.pointerId, point);
    this.#page.looking.touched(event.pointerType === "touch");
    if (event.button === 1) event.preventDefault();
    if (this.#fingers.size === 2) {
      this.abandon();
      this.#gesture = { kind: "pinch", moved: true };
    } else if (this.#fingers.size === 1) {
      this.#gesture = this.#begin(event, point);
    }
  }

  #begin(event, point) {
    const pan = { kind: "pan", from: point, moved: false };
    if (event.button !== 0 || this.isSpaceDown) return { ...pan, moved: true };
    if (this.#page.pointing.isOn || !this.#page.canChange) return pan;
    const chosen = this.#page.chosenLandmark;
    const isHandle = event.target.closest?.(".handle") !== null;
    const hit = nearest(this.#film.film.landmarks, this.#film.view, point, REACH[event.pointerType] ?? 12);
    const isChosen = hit !== null && hit.index === chosen?.index && event.pointerType !== "touch";
    if (!isHandle && !isChosen) return pan;
    if (chosen.state === "confirmed") {
      this.#page.say("A confirmed landmark is not dragged by accident. Arrow keys or P move it, R opens it again.");
      return pan;
    }
    return { kind: "drag", from: point, start: { x: chosen.x, y: chosen.y }, to: null, moved: false };
  }

  #move(event) {
    const point = this.#film.stagePoint(event);
    if (!this.#fingers.has(event.pointerId)) {
      if (event.pointerType !== "touch") this.#page.looking.at(this.#film.imagePoint(event), point);
      return;
    }
    const last = this.#fingers.get(event.pointerId);
    if (this.#gesture?.kind === "pinch") this.#pinch(event.pointerId, last, point);
    this.#fingers.set(event.pointerId, point);
    const gesture = this.#gesture;
    if (gesture === null || gesture.kind === "pinch") return;
    const far = Math.hypot(point.x - gesture.from.x, point.y - gesture.from.y) > THRESHOLD;
    if (!gesture.moved && !far) return;
    const isFirst = !gesture.moved;
    gesture.moved = true;
    if (gesture.kind === "drag") {
      const scale = this.#film.view.scale;
      const to = {
        x: gesture.start.x + (point.x - gesture.from.x) / scale,
        y: gesture.start.y + (point.y - gesture.from.y) / scale,
      };
      gesture.to = onFilm(to, this.#film.film);
      this.#page.dragged(gesture.to);
    } else {
      const from = isFirst ? gesture.from : last;
      this.#film.pan(point.x - from.x, point.y - from.y);
    }
  }

  #pinch(pointer, last, point) {
    const other = [...this.#fingers].find(([id]) => id !== pointer)?.[1];
    if (!other) return;
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const after = Math.hypot(point.x - other.x, point.y - other.y);
    this.#film.pan((point.x - last.x) / 2, (point.y - last.y) / 2);
    const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
    if (before > 1 && after > 1) this.#film.zoom(after / before, middle);
  }

  #up(event) {
    if (!this.#fingers.delete(event.pointerId)) return;
    const gesture = this.#gesture;
    if (gesture?.kind === "pinch") {
      if (this.#fingers.size === 0) this.#gesture = null;
      return;
    }
    this.#gesture = null;
    if (gesture === null) return;
    if (gesture.kind === "drag" && gesture.to !== null) this.#page.edits.placed(gesture.to);
    else if (!gesture.moved) this.#tapped(event);
  }

  #tapped(event) {
    const point = this.#film.stagePoint(event);
    if (this.#page.pointing.isOn) {
      this.#page.pointing.at(onFilm(this.#film.imagePoint(event), this.#film.film));
      return;
    }
    const hit = nearest(this.#film.film.landmarks, this.#film.view, point, REACH[event.pointerType] ?? 12);
    if (hit) this.#page.choose(hit.index);
  }

  #cancelled(event) {
    this.#fingers.delete(event.pointerId);
    this.abandon();
  }

  #wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1; // lines or pixels
    this.#film.zoom(ZOOM_STEP ** (-event.deltaY * unit), this.#film.stagePoint(event));
  }
}
