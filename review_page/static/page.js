/** The review in this browser: which film and landmark are looked at, and what is told of them. */

import { nextOpen } from "./case_state.js";
import { Edits } from "./edits.js";
import { byId } from "./elements.js";
import { FilmList } from "./film_list.js";
import { FilmView } from "./film_view.js";
import { Greys } from "./greys.js";
import { Looking } from "./looking.js";
import { Measuring } from "./measuring.js";
import { tell } from "./notes.js";
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
  #notes; // about the folder, until a second film is opened
  #opening = 0; // counts openings, so that a late answer is not drawn

  constructor(api, saver, about) {
    this.api = api;
    this.saver = saver;
    this.about = about;
    this.#notes = about.notes;
    this.list = new FilmList(api);
    this.view = new FilmView();
    this.view.abbreviations = about.landmark_set.abbreviations;
    this.looking = new Looking(this);
    this.edits = new Edits(this);
    this.greys = new Greys(this);
    this.measuring = new Measuring(this);
    this.pointing = new Pointing(this);
    this.pictures = new Pictures(api);
    byId("landmark-order").value = about.analysis ? "effect" : "uncertainty";
    byId("film-order").value = about.blind ? "folder" : about.analysis ? "effect" : "uncertainty";
    if (about.blind) byId("landmark-order").value = "anatomical";
    saver.addEventListener("change", () => this.#savedChanged());
    saver.addEventListener("refused", (event) => this.say(event.detail));
    saver.addEventListener("warned", (event) => tell("Not on all films", [event.detail]));
    saver.addEventListener("told", (event) => this.sayChange(event.detail));
    this.#drawSaved();
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

  get chosenName() {
    return this.chosen === null ? "" : this.name(this.chosen);
  }

  get canChange() {
    return this.id !== null && this.film.state !== "locked";
  }

  async open(id) {
    const opening = ++this.#opening;
    this.pointing.leave();
    let film, address;
    try {
      [film, address] = await Promise.all([
        this.api.get(`/api/case/${id}`),
        this.pictures.of(id, this.looking.pictureKind),
      ]);
    } catch (error) {
      this.say(error.message);
      return;
    }
    if (opening !== this.#opening) return;
    this.saver.take(film);
    if (this.id !== null && this.id !== id) this.#notes = [];
    this.id = id;
    this.#before = [];
    this.measuring.rows = film.measurements;
    this.chosen = nextOpen(film, this.order, null) ?? this.order[0] ?? null;
    this.view.open(film, address, false);
    this.draw();
    this.list.draw(this.id);
    this.looking.atChosen();
    await this.view.pictureReady().catch(() => this.say("The picture of this film cannot be shown."));
    document.body.dataset.shown = String(id);
    if (opening !== this.#opening) return;
    const next = this.list.neighbour(id, 1);
    if (next) this.pictures.prepare(next.id, this.looking.pictureKind);
  }

  /** The film that is open, as the server has it now; what is being looked at stays. */
  async reopen() {
    if (this.id === null || this.#drag !== null || document.querySelector("dialog[open]")) return;
    const { id, chosen } = this;
    await this.open(id);
    if (this.id !== id || chosen === null) return;
    this.chosen = chosen;
    this.draw();
    this.looking.atChosen();
  }

  async step(by) {
    const next = this.list.neighbour(this.id, by);
    if (next) await this.open(next.id);
    else this.say(by > 0 ? "This is the last film." : "This is the first film.");
  }

  // Which landmark is chosen, and where it is being dragged to

  choose(index, keepsPath = false) {
    if (!keepsPath && this.chosen !== null && this.chosen !== index) this.#before.push(this.chosen);
    this.chosen = index;
    if (this.chosenLandmark) this.view.reveal(this.chosenLandmark);
    this.draw();
    this.looking.atChosen();
    const { state } = this.chosenLandmark;
    this.say(`${this.chosenName}, ${state}. ${this.chosenLandmark.why}`);
  }

  chooseNeighbour(by) {
    const place = this.order.indexOf(this.chosen);
    const next = this.order[(place + by + this.order.length) % this.order.length];
    this.choose(next);
  }

  back() {
    const before = this.#before.pop();
    if (before !== undefined) this.choose(before, true);
  }

  /** While a landmark is being dragged; null when the drag was left. */
  dragged(to) {
    this.#drag = to;
    this.draw();
    this.looking.atChosen();
    this.measuring.soon();
  }

  // What is told and drawn

  /** Told on the screen and by screen readers. */
  say(sentence) {
    this.#announced = "";
    byId("said").textContent = sentence;
  }

  /** The same, with a word more once it is on the disk. */
  sayChange(sentence) {
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
    const read = this.about.blind ? this.list.numReviewed : null; // a study goes on to the end
    panels.drawHeader(film, { place: place || "-", shown: shown.length, read, all: this.list.lines.length });
    this.drawMeasurements();
    panels.drawHistory(film.history);
    panels.drawBanner([...film.banner, ...this.#notes]);
    panels.drawTool(this.chosenLandmark, this.chosenName, hints[this.chosenName] ?? "", this.canChange);
    panels.drawQueue(film, this.order, this.chosen, landmarks, (index) => this.choose(index)); // has its height now
    byId("film").setAttribute("aria-label", `${film.name}, ${landmarks.length} landmarks, ${film.state}`);
  }

  drawMeasurements() {
    panels.drawMeasurements(this.measuring.rows, this.chosen);
    drawWiggle(this.measuring.rows);
  }

  #savedChanged() {
    this.#drawSaved();
    if (this.id !== null) {
      const film = this.saver.film(this.id);
      if (!this.saver.numUnsaved) this.measuring.rows = film.measurements;
      this.list.update(film);
      this.draw();
      if (this.#drag === null) this.looking.atChosen();
    }
  }

  #drawSaved() {
    drawSaving(this.saver, this.about.reader, (index) => this.name(index));
    if (!this.saver.numUnsaved && this.#announced) this.say(`${this.#announced}, saved`);
  }
}
