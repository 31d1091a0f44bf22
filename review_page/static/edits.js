/** What a person does to the film that is open: each becomes an event on its way to the disk. */

import { isSettled, nextOpen, unsettled } from "./case_state.js";
import { onFilm } from "./geometry.js";
import { askNote } from "./notes.js";

export class Edits {
  #page;

  constructor(page) {
    this.#page = page;
  }

  change(event) {
    if (this.#page.id !== null) this.#page.saver.push(this.#page.id, event);
  }

  changeChosen(event) {
    const page = this.#page;
    if (page.chosen === null || !this.mayChange()) return;
    this.change({ ...event, index: page.chosen });
    page.sayChange(`${page.chosenName}: ${page.chosenLandmark.state}`);
  }

  mayChange() {
    const { canChange } = this.#page;
    if (!canChange) this.#page.say("This film is locked. Unlock it to change it.");
    return canChange;
  }

  confirmNext() {
    const page = this.#page;
    if (page.chosen === null || !this.mayChange()) return;
    const landmark = page.chosenLandmark;
    if (unsettled(page.film).length === 0) return this.#finish();
    if (landmark.x === null && landmark.state !== "not visible") {
      return page.say(`${page.chosenName} has no place yet. P sets it, M says that it is not visible.`);
    }
    if (!isSettled(landmark)) this.change({ kind: "confirm", index: page.chosen });
    const next = nextOpen(page.film, page.order, page.chosen);
    if (next === null) page.say("All landmarks are settled. Enter again: the film is reviewed, the next one opens.");
    else page.choose(next);
  }

  /** The next film comes once this one is on the disk; what hinders that stands in red. */
  async #finish() {
    const page = this.#page;
    if (page.film.state === "open") this.change({ kind: "image", state: "reviewed" });
    await page.saver.settled();
    if (page.saver.numUnsaved) return;
    await page.list.refresh(page.id).catch((error) => page.say(error.message));
    const { firstOpen } = page.list;
    if (firstOpen) await page.open(firstOpen.id);
    else page.say("All films are reviewed.");
  }

  nudge(dx, dy) {
    const page = this.#page;
    const landmark = page.chosenLandmark;
    if (landmark === null || !this.mayChange()) return;
    if (landmark.x === null) return page.say(`${page.chosenName} has no place yet. P sets it.`);
    this.#place(onFilm({ x: landmark.x + dx, y: landmark.y + dy }, page.film), 2);
    page.view.reveal(page.chosenLandmark);
    page.looking.atChosen();
  }

  /** A drag has ended, or a place was set. */
  placed(to) {
    this.#page.dragged(null);
    if (this.#page.chosen !== null && this.mayChange()) this.#place(to, 1);
  }

  #place(to, digits) {
    const page = this.#page;
    this.change({ kind: "place", index: page.chosen, ...to });
    page.measuring.soon();
    page.sayChange(`${page.chosenName} moved to ${to.x.toFixed(digits)}, ${to.y.toFixed(digits)}`);
  }

  async unsure() {
    const { chosen: index, chosenName, chosenLandmark } = this.#page;
    if (index === null || !this.mayChange()) return;
    const note = await askNote(`${chosenName}: unsure`, chosenLandmark.note);
    if (note !== null) this.change({ kind: "state", index, state: "unsure", note });
  }

  async flagFilm() {
    if (this.#page.id === null || !this.mayChange()) return;
    if (this.#page.film.flagged) return this.change({ kind: "flag", flagged: false, note: "" });
    const note = await askNote("Flag this film", "");
    if (note !== null) this.change({ kind: "flag", flagged: true, note });
  }
}
