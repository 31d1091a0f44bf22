/**
 * Places on the film that are asked for: where the chosen landmark is, or the two ends of a known length.
 *
 * A tap or a click sets one. By keyboard a cross on the film is moved by the arrow keys and set by Enter.
 */

import { asked, byId } from "./elements.js";
import { onFilm, toImage } from "./geometry.js";

export class Pointing {
  #page;
  #kind = null; // "landmark", "ruler", or null where nothing is asked for
  #ends = []; // of the ruler, so far
  #cross = null; // where Enter would set a place; null until an arrow key was pressed

  constructor(page) {
    this.#page = page;
  }

  get isOn() {
    return this.#kind !== null;
  }

  /** Ask for the chosen landmark's place; once more leaves it. */
  landmark() {
    const wasOn = this.isOn;
    this.leave();
    const { chosen } = this.#page;
    if (wasOn || chosen === null || !this.#page.edits.mayChange()) return;
    this.#begin("landmark", `Tap where ${this.#page.name(chosen)} is, or move the cross by arrow keys and press Enter.`);
  }

  ruler() {
    this.leave();
    if (this.#page.id === null || !this.#page.edits.mayChange()) return;
    this.#begin("ruler", "Set one end of a known length, then the other: by a click, or by arrow keys and Enter.");
  }

  #begin(kind, sentence) {
    this.#kind = kind;
    byId("by-tap").setAttribute("aria-pressed", String(kind === "landmark"));
    byId("stage").classList.add("pointing");
    byId("film").focus({ preventScroll: true });
    this.#page.say(sentence);
  }

  leave() {
    [this.#kind, this.#ends, this.#cross] = [null, [], null];
    byId("by-tap").setAttribute("aria-pressed", "false");
    byId("stage").classList.remove("pointing");
    this.#draw();
  }

  /** Move the cross by image pixels. */
  move(dx, dy) {
    const { x, y } = this.#cross ?? this.#start();
    this.#cross = onFilm({ x: x + dx, y: y + dy }, this.#page.view.film);
    this.#page.view.reveal(this.#cross);
    this.#page.looking.atPoint(this.#cross);
    this.#draw();
    this.#page.say(`cross at ${this.#cross.x.toFixed(1)}, ${this.#cross.y.toFixed(1)}`);
  }

  /** Set what is asked for where the cross is. */
  set() {
    return this.at(this.#cross ?? this.#start());
  }

  /** Set what is asked for at a point of the image. */
  async at(point) {
    if (this.#kind === "landmark") {
      this.leave();
      this.#page.edits.placed(point);
      return;
    }
    this.#ends.push(point);
    this.#draw();
    if (this.#ends.length === 2) await this.#measured(...this.#ends.map(({ x, y }) => [x, y]));
  }

  #start() {
    const { chosenLandmark, view } = this.#page;
    if (chosenLandmark !== null && chosenLandmark.x !== null) return chosenLandmark;
    const { width, height } = view.size;
    return onFilm(toImage(view.view, { x: width / 2, y: height / 2 }), view.film);
  }

  async #measured(one, two) {
    const apart = Math.hypot(one[0] - two[0], one[1] - two[1]);
    byId("length-text").textContent = `The two points are ${apart.toFixed(1)} pixels apart.`;
    byId("length").value = "";
    byId("length-all").checked = false;
    const mm = await asked(byId("length-dialog"), () => byId("length").valueAsNumber);
    const all_cases = byId("length-all").checked;
    this.leave();
    if (mm === null) return;
    if (mm > 0) this.#page.edits.change({ kind: "calibrate", one, two, mm, all_cases });
    else this.#page.say("A length above 0 mm is needed. Nothing was calibrated.");
  }

  #draw() {
    this.#page.view.drawRule(this.#ends, this.#cross);
  }
}
