/** The review in this browser: which film and landmark are looked at, and what a person does to them. */

import { isSettled, nextOpen, unsettled } from "./case_state.js";
import { byId } from "./elements.js";
import { FilmList } from "./film_list.js";
import { FilmView } from "./film_view.js";
import { onFilm, toStage } from "./geometry.js";
import { Greys } from "./greys.js";
import { Loupe } from "./loupe.js";
import { Measuring } from "./measuring.js";
import { askNote } from "./notes.js";
import * as panels from "./panels.js";
import { Pictures } from "./pictures.js";
import { Pointing } from "./pointing.js";
import { drawSaving } from "./saving.js";
import { drawWiggle } from "./wiggle.js";

export class Page {
  id = null; // the film that is open
  chosen = null; // a landmark's index
  #before = []; // landmarks chosen before, for the way back
  #drag = null; // where the chosen landmark is being dragged to
  #announced = ""; // a change that is not on the disk yet
  #opening = 0; // counts openings, so that a late answer is not drawn

  constructor(api, saver, about) {
    this.api = api;
    this.saver = saver;
    this.about = about;
    this.list = new FilmList(api);
    this.view = new FilmView();
    this.view.abbreviations = about.landmark_set.abbreviations;
    this.loupe = new Loupe();
    this.greys = new Greys(this);
    this.measuring = new Measuring(this);
    this.pointing = new Pointing(this);
    this.pictures = new Pictures(api);
    byId("landmark-order").value = about.analysis ? "effect" : "uncertainty";
    byId("film-order").value = about.blind ? "folder" : about.analysis ? "effect" : "uncertainty";
    if (about.blind) byId("landmark-order").value = "anatomical";
    saver.addEventListener("change", () => this.#savedChanged());
    saver.addEventListener("refused", (event) => this.say(event.detail));
  }

  // What is open

  get film() {
    const film = this.saver.film(this.id);
    if (!film || this.#drag === null) return film;
    const landmarks = film.landmarks.map((one) => (one.index === this.chosen ? { ...one, ...this.#drag } : one));
    return { ...film, landmarks };
  }

  get order() {
    return this.film.orders[byId("landmark-order").value];
  }

  get chosenLandmark() {
    return this.id === null || this.chosen === null ? null : this.film.landmarks[this.chosen];
  }

  get canChange() {
    return this.id !== null && this.film.state !== "locked";
  }

  async open(id) {
    const opening = ++this.#opening;
    this.pointing.leave();
    let film, address;
    try {
      [film, address] = await Promise.all([this.api.get(`/api/case/${id}`), this.pictures.of(id, this.#pictureKind)]);
    } catch (error) {
      this.say(error.message);
      return;
    }
    if (opening !== this.#opening) return;
    this.saver.take(film);
    this.id = id;
    this.#before = [];
    this.measuring.rows = film.measurements;
    this.chosen = nextOpen(film, this.order, null) ?? this.order[0] ?? null;
    this.view.open(film, address, false);
    this.draw();
    this.list.draw(this.id);
    this.lookAtChosen();
    await this.view.pictureReady().catch(() => this.say("The picture of this film cannot be shown."));
    document.body.dataset.shown = String(id);
    if (opening !== this.#opening) return;
    const next = this.list.neighbour(id, 1);
    if (next) this.pictures.prepare(next.id, this.#pictureKind);
  }

  /** The film that is open, as the server has it now; what is being looked at stays. */
  async reopen() {
    if (this.id === null || this.#drag !== null || document.querySelector("dialog[open]")) return;
    const { id, chosen } = this;
    await this.open(id);
    if (this.id !== id || chosen === null) return;
    this.chosen = chosen;
    this.draw();
    this.lookAtChosen();
  }

  get #pictureKind() {
    return byId("model-view").getAttribute("aria-pressed") === "true" ? "model" : "display";
  }

  async step(by) {
    const next = this.list.neighbour(this.id, by);
    if (next) await this.open(next.id);
    else this.say(by > 0 ? "This is the last film." : "This is the first film.");
  }

  // What a person does

  change(event) {
    if (this.id === null) return;
    this.saver.push(this.id, event);
  }

  changeChosen(event) {
    if (this.chosen === null || !this.mayChange()) return;
    this.change({ ...event, index: this.chosen });
    this.#sayChange(`${this.name(this.chosen)}: ${this.chosenLandmark.state}`);
  }

  mayChange() {
    if (!this.canChange) this.say("This film is locked. Unlock it to change it.");
    return this.canChange;
  }

  choose(index, keepsPath = false) {
    if (!keepsPath && this.chosen !== null && this.chosen !== index) this.#before.push(this.chosen);
    this.chosen = index;
    if (this.chosenLandmark) this.view.reveal(this.chosenLandmark);
    this.draw();
    this.lookAtChosen();
    const { state } = this.chosenLandmark;
    this.say(`${this.name(index)}, ${state}. ${this.chosenLandmark.why}`);
  }

  chooseNeighbour(by) {
    const place = this.order.indexOf(this.chosen);
    const next = this.order[(place + by + this.order.length) % this.order.length];
    this.choose(next);
  }

  confirmNext() {
    if (this.chosen === null || !this.mayChange()) return;
    const landmark = this.chosenLandmark;
    if (unsettled(this.film).length === 0) return this.#finish();
    if (landmark.x === null && landmark.state !== "not visible") {
      return this.say(`${this.name(this.chosen)} has no place yet. P sets it, M says that it is not visible.`);
    }
    if (!isSettled(landmark)) this.change({ kind: "confirm", index: this.chosen });
    const next = nextOpen(this.film, this.order, this.chosen);
    if (next === null) this.say("All landmarks are settled. Enter again: the film is reviewed, the next one opens.");
    else this.choose(next);
  }

  async #finish() {
    if (this.film.state === "open") this.change({ kind: "image", state: "reviewed" });
    await this.saver.settled();
    await this.list.refresh(this.id);
    const { firstOpen } = this.list;
    if (firstOpen) await this.open(firstOpen.id);
    else this.say("All films are reviewed.");
  }

  back() {
    const before = this.#before.pop();
    if (before !== undefined) this.choose(before, true);
  }

  nudge(dx, dy) {
    const landmark = this.chosenLandmark;
    if (landmark === null || !this.mayChange()) return;
    if (landmark.x === null) return this.say(`${this.name(this.chosen)} has no place yet. P sets it.`);
    const to = onFilm({ x: landmark.x + dx, y: landmark.y + dy }, this.film);
    this.change({ kind: "place", index: this.chosen, ...to });
    this.measuring.soon();
    this.view.reveal(this.chosenLandmark);
    this.lookAtChosen();
    this.#sayChange(`${this.name(this.chosen)} moved to ${to.x.toFixed(2)}, ${to.y.toFixed(2)}`);
  }

  /** While a landmark is being dragged; null when the drag was left. */
  dragged(to) {
    this.#drag = to;
    this.draw();
    this.lookAtChosen();
    this.measuring.soon();
  }

  placed(to) {
    this.#drag = null;
    if (this.chosen === null || !this.mayChange()) return;
    this.change({ kind: "place", index: this.chosen, ...to });
    this.measuring.soon();
    this.#sayChange(`${this.name(this.chosen)} moved to ${to.x.toFixed(1)}, ${to.y.toFixed(1)}`);
  }

  async unsure() {
    if (this.chosen === null || !this.mayChange()) return;
    const index = this.chosen;
    const note = await askNote(`${this.name(index)}: unsure`, this.chosenLandmark.note);
    if (note !== null) this.change({ kind: "state", index, state: "unsure", note });
  }

  async flagFilm() {
    if (this.id === null || !this.mayChange()) return;
    if (this.film.flagged) return this.change({ kind: "flag", flagged: false, note: "" });
    const note = await askNote("Flag this film", "");
    if (note !== null) this.change({ kind: "flag", flagged: true, note });
  }

  // How it is shown

  touched(isTouch) {
    if (this.view.isTouched === isTouch) return;
    this.view.isTouched = isTouch;
    this.view.draw();
  }

  toggle(what) {
    this.view.shown[what] = !this.view.shown[what];
    byId(what).setAttribute("aria-pressed", String(this.view.shown[what]));
    this.view.draw();
  }

  toggleLoupe() {
    this.loupe.isShown = !this.loupe.isShown;
    byId("loupe-shown").setAttribute("aria-pressed", String(this.loupe.isShown));
    this.lookAtChosen();
  }

  async showModelView() {
    const button = byId("model-view");
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    try {
      const address = await this.pictures.of(this.id, this.#pictureKind);
      this.view.open(this.saver.film(this.id), address, true);
    } catch (error) {
      button.setAttribute("aria-pressed", "false");
      this.say(error.message);
    }
  }

  lookAtChosen() {
    const landmark = this.chosenLandmark;
    if (landmark !== null && landmark.x !== null) this.lookAt(landmark, toStage(this.view.view, landmark));
    else this.loupe.look(null);
  }

  lookAtPoint(point) {
    this.lookAt(point, toStage(this.view.view, point));
  }

  lookAt(point, stagePoint) {
    this.loupe.look(point, this.view.view.scale, stagePoint, this.view.size);
  }

  /** Told on the screen and by screen readers. */
  say(sentence) {
    this.#announced = "";
    byId("said").textContent = sentence;
  }

  /** The same, with a word more once it is on the disk. */
  #sayChange(sentence) {
    this.say(sentence);
    this.#announced = sentence;
  }

  name(index) {
    return this.about.landmark_set.landmarks[index];
  }

  draw() {
    const { film } = this;
    if (!film) return;
    const { landmarks, hints } = this.about.landmark_set;
    this.view.film = film;
    this.view.chosen = this.chosen;
    this.view.draw(this.about.lines);
    const shown = this.list.visible;
    const place = shown.findIndex((one) => one.id === this.id) + 1;
    panels.drawHeader(film, place || "-", shown.length, this.about.blind);
    panels.drawQueue(film, this.order, this.chosen, landmarks, (index) => this.choose(index));
    this.drawMeasurements();
    panels.drawHistory(film.history);
    panels.drawBanner([...film.banner, ...(this.about.notes ?? [])]);
    const name = this.chosen === null ? "" : landmarks[this.chosen];
    panels.drawTool(this.chosenLandmark, name, hints[name] ?? "", this.canChange);
    byId("film").setAttribute("aria-label", `${film.name}, ${landmarks.length} landmarks, ${film.state}`);
  }

  drawMeasurements() {
    panels.drawMeasurements(this.measuring.rows, this.chosen);
    drawWiggle(this.measuring.rows);
  }

  #savedChanged() {
    if (this.id !== null) {
      const film = this.saver.film(this.id);
      if (!this.saver.numUnsaved) this.measuring.rows = film.measurements;
      this.list.update(film);
      this.draw();
      if (this.#drag === null) this.lookAtChosen();
    }
    this.#drawSaved();
  }

  #drawSaved() {
    drawSaving(this.saver, this.about.reader, (index) => this.name(index));
    if (!this.saver.numUnsaved && this.#announced) this.say(`${this.#announced}, saved`);
  }
}
