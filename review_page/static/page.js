/** The review in this browser: which film and landmark are looked at, and what a person does to them. */

import { isSettled, nextOpen, filteredFilms, sortedFilms, unsettled } from "./case_state.js";
import { asked, byId, html } from "./elements.js";
import { FilmView } from "./film_view.js";
import { onFilm, toStage } from "./geometry.js";
import { Loupe } from "./loupe.js";
import * as panels from "./panels.js";
import { Pictures } from "./pictures.js";

export class Page {
  films = []; // lines of all films
  id = null; // the film that is open
  chosen = null; // a landmark's index
  #rows = []; // measurements as the landmarks lie on the screen
  #before = []; // landmarks chosen before, for the way back
  #pointing = null; // {kind: "tap"} or {kind: "ruler", points}
  #drag = null;
  #measuring = false;
  #opening = 0; // counts openings, so that a late answer is not drawn

  constructor(api, saver, about) {
    this.api = api;
    this.saver = saver;
    this.about = about;
    this.view = new FilmView();
    this.view.abbreviations = about.landmark_set.abbreviations;
    this.loupe = new Loupe();
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

  get isPointing() {
    return this.#pointing !== null;
  }

  get visibleFilms() {
    return filteredFilms(sortedFilms(this.films, byId("film-order").value), byId("film-filter").value);
  }

  async refreshFilms() {
    this.films = await this.api.get("/api/cases");
    this.drawFilms();
  }

  drawFilms() {
    const shown = this.visibleFilms;
    const isHidden = this.id !== null && !shown.some((film) => film.id === this.id);
    panels.drawFilmList(isHidden ? [...shown, this.films[this.id]] : shown, this.id);
  }

  async open(id) {
    const opening = ++this.#opening;
    this.leavePointing();
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
    this.#rows = film.measurements;
    this.chosen = nextOpen(film, this.order, null) ?? this.order[0] ?? null;
    this.view.open(film, address, false);
    this.draw();
    this.drawFilms();
    this.lookAtChosen();
    await this.view.pictureReady().catch(() => this.say("The picture of this film cannot be shown."));
    document.body.dataset.shown = String(id);
    const around = this.visibleFilms.findIndex((one) => one.id === id);
    const next = this.visibleFilms[around + 1];
    if (next) this.pictures.prepare(next.id, this.#pictureKind);
  }

  get #pictureKind() {
    return byId("model-view").getAttribute("aria-pressed") === "true" ? "model" : "display";
  }

  async step(by) {
    const shown = this.visibleFilms;
    const place = shown.findIndex((film) => film.id === this.id);
    const next = place < 0 ? shown[0] : shown[place + by];
    if (next) await this.open(next.id);
    else this.say(by > 0 ? "This is the last film." : "This is the first film.");
  }

  // What a person does

  change(event) {
    if (this.id === null) return;
    this.saver.push(this.id, event);
  }

  changeChosen(event) {
    if (this.chosen === null || !this.#mayChange()) return;
    this.change({ ...event, index: this.chosen });
    this.say(`${this.#name(this.chosen)}: ${this.chosenLandmark.state}`);
  }

  #mayChange() {
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
    this.say(`${this.#name(index)}, ${state}. ${this.chosenLandmark.why}`);
  }

  chooseNeighbour(by) {
    const place = this.order.indexOf(this.chosen);
    const next = this.order[(place + by + this.order.length) % this.order.length];
    this.choose(next);
  }

  confirmNext() {
    if (this.chosen === null || !this.#mayChange()) return;
    const landmark = this.chosenLandmark;
    if (unsettled(this.film).length === 0) return this.#finish();
    if (landmark.x === null && landmark.state !== "not visible") {
      return this.say(`${this.#name(this.chosen)} has no place yet. Set it by a tap, or say that it is not visible.`);
    }
    if (!isSettled(landmark)) this.change({ kind: "confirm", index: this.chosen });
    const next = nextOpen(this.film, this.order, this.chosen);
    if (next === null) this.say("All landmarks are settled. Enter again: the film is reviewed, the next one opens.");
    else this.choose(next);
  }

  async #finish() {
    if (this.film.state === "open") this.change({ kind: "image", state: "reviewed" });
    await this.saver.settled();
    await this.refreshFilms();
    const open = sortedFilms(this.films, byId("film-order").value).filter((film) => film.state === "open");
    if (open.length) await this.open(open[0].id);
    else this.say("All films are reviewed.");
  }

  back() {
    const before = this.#before.pop();
    if (before !== undefined) this.choose(before, true);
  }

  nudge(dx, dy) {
    const landmark = this.chosenLandmark;
    if (landmark === null || landmark.x === null || !this.#mayChange()) return;
    const to = onFilm({ x: landmark.x + dx, y: landmark.y + dy }, this.film);
    this.change({ kind: "place", index: this.chosen, ...to });
    this.#measureSoon();
    this.view.reveal(this.chosenLandmark);
    this.lookAtChosen();
    this.say(`${this.#name(this.chosen)} moved to ${to.x.toFixed(2)}, ${to.y.toFixed(2)}`);
  }

  /** While a landmark is being dragged; null when the drag was left. */
  dragged(to) {
    this.#drag = to;
    this.draw();
    this.lookAtChosen();
    this.#measureSoon();
  }

  placed(to) {
    this.#drag = null;
    if (this.chosen === null || !this.#mayChange()) return;
    this.change({ kind: "place", index: this.chosen, ...to });
    this.#measureSoon();
    this.say(`${this.#name(this.chosen)} moved to ${to.x.toFixed(1)}, ${to.y.toFixed(1)}`);
  }

  async unsure() {
    if (this.chosen === null || !this.#mayChange()) return;
    const index = this.chosen;
    const note = await this.#askNote(`${this.#name(index)}: unsure`, this.chosenLandmark.note);
    if (note !== null) this.change({ kind: "state", index, state: "unsure", note });
  }

  async flagFilm() {
    if (this.id === null || !this.#mayChange()) return;
    if (this.film.flagged) return this.change({ kind: "flag", flagged: false, note: "" });
    const note = await this.#askNote("Flag this film", "");
    if (note !== null) this.change({ kind: "flag", flagged: true, note });
  }

  #askNote(title, value) {
    byId("note-title").textContent = title;
    byId("note").value = value;
    const answer = asked(byId("note-dialog"), () => byId("note").value);
    byId("note").select();
    return answer;
  }

  showHelp() {
    return asked(byId("help-dialog"), () => null);
  }

  tell(title, sentences) {
    byId("told-title").textContent = title;
    byId("told-text").replaceChildren(...sentences.map((sentence) => html("p", {}, sentence)));
    return asked(byId("told-dialog"), () => null);
  }

  // Points that a person clicks on

  setByTap() {
    if (this.isPointing) return this.leavePointing();
    if (this.chosen === null || !this.#mayChange()) return;
    this.#pointing = { kind: "tap" };
    byId("by-tap").setAttribute("aria-pressed", "true");
    byId("stage").classList.add("pointing");
    this.say(`Tap where ${this.#name(this.chosen)} is.`);
  }

  calibrate() {
    if (this.id === null || !this.#mayChange()) return;
    this.leavePointing();
    this.#pointing = { kind: "ruler", points: [] };
    byId("stage").classList.add("pointing");
    this.say("Click on one end of a known length, then on the other. Enter sets a point where the chosen landmark is.");
  }

  async pointed(point) {
    if (this.#pointing?.kind === "tap") {
      this.leavePointing();
      return this.placed(point);
    }
    const { points } = this.#pointing;
    points.push(point);
    this.view.drawRule(points);
    if (points.length < 2) return;
    const [one, two] = points.map(({ x, y }) => [x, y]);
    const apart = Math.hypot(one[0] - two[0], one[1] - two[1]);
    byId("length-text").textContent = `The two points are ${apart.toFixed(1)} pixels apart.`;
    byId("length").value = "";
    const mm = await asked(byId("length-dialog"), () => Number.parseFloat(byId("length").value));
    const all_cases = byId("length-all").checked;
    this.leavePointing();
    if (mm === null) return;
    if (!(mm > 0)) return this.say("A length above 0 mm is needed. Nothing was calibrated.");
    this.change({ kind: "calibrate", one, two, mm, all_cases });
  }

  leavePointing() {
    this.#pointing = null;
    byId("by-tap").setAttribute("aria-pressed", "false");
    byId("stage").classList.remove("pointing");
    this.view.drawRule([]);
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

  invert() {
    this.view.setGreys({ inverted: !this.view.greys.inverted });
    byId("invert").setAttribute("aria-pressed", String(this.view.greys.inverted));
  }

  adjust(key, change, least, most) {
    const value = Math.min(most, Math.max(least, this.view.greys[key] + change));
    this.view.setGreys({ [key]: Math.round(value * 100) / 100 });
    byId(key).value = this.view.greys[key];
    this.say(`${key} ${this.view.greys[key]}`);
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

  lookAt(point, stagePoint) {
    this.loupe.look(point, this.view.view.scale, stagePoint, this.view.size);
  }

  say(sentence) {
    byId("said").textContent = sentence;
  }

  #name(index) {
    return this.about.landmark_set.landmarks[index];
  }

  draw() {
    const { film } = this;
    if (!film) return;
    const { landmarks, hints } = this.about.landmark_set;
    this.view.film = film;
    this.view.chosen = this.chosen;
    this.view.draw(this.about.lines);
    const shown = this.visibleFilms;
    const place = shown.findIndex((one) => one.id === this.id) + 1;
    panels.drawHeader(film, place || "-", shown.length, this.about.blind);
    panels.drawQueue(film, this.order, this.chosen, landmarks, (index) => this.choose(index));
    panels.drawMeasurements(this.#rows, this.chosen);
    panels.drawHistory(film.history);
    panels.drawBanner([...film.banner, ...(this.about.notes ?? [])]);
    const name = this.chosen === null ? "" : landmarks[this.chosen];
    panels.drawTool(this.chosenLandmark, name, hints[name] ?? "", this.canChange);
    byId("film").setAttribute("aria-label", `${film.name}, ${landmarks.length} landmarks, ${film.state}`);
  }

  /** The server's measurements for the landmarks on the screen; one request at a time, at most one a frame. */
  #measureSoon() {
    if (this.#measuring || this.about.analysis === null) return;
    this.#measuring = true;
    requestAnimationFrame(async () => {
      const { id } = this;
      const points = this.film.landmarks.map(({ x, y }) => (x === null ? null : [x, y]));
      const answer = await this.api.ask("POST", "/api/measure", { id, points });
      this.#measuring = false;
      if (answer.status !== 200 || id !== this.id) return;
      this.#rows = answer.body.measurements;
      panels.drawMeasurements(this.#rows, this.chosen);
      const now = JSON.stringify(this.film.landmarks.map(({ x, y }) => (x === null ? null : [x, y])));
      if (now !== JSON.stringify(points)) this.#measureSoon();
    });
  }

  #savedChanged() {
    if (this.id !== null) {
      const film = this.saver.film(this.id);
      if (!this.saver.numUnsaved) this.#rows = film.measurements;
      this.#updateLine(film);
      this.draw();
      if (this.#drag === null) this.lookAtChosen();
    }
    this.#drawSaved();
  }

  #updateLine(film) {
    const line = this.films[film.id];
    if (!line) return;
    line.state = film.state;
    line.flagged = film.flagged;
    line.unsettled = unsettled(film).length;
    line.unsure = film.landmarks.filter((landmark) => landmark.state === "unsure").length;
  }

  #drawSaved() {
    const { saver } = this;
    const waiting = saver.numUnsaved;
    byId("trouble").hidden = !saver.trouble;
    if (saver.trouble) {
      byId("trouble-text").textContent = `Not saved: ${saver.trouble} ${waiting} changes are kept in this page and sent again; do not close it.`;
    }
    const [conflict] = saver.conflicts;
    byId("conflict").hidden = !conflict;
    if (conflict) {
      byId("conflict-text").textContent = `${this.#name(conflict.event.index)} was changed by somebody else in the meantime. Yours is not saved.`;
    }
    const at = saver.savedAt ? `Saved at ${saver.savedAt.toLocaleTimeString()}` : "Nothing changed yet";
    const who = this.about.reader ? `, ${this.about.reader}` : "";
    byId("saved").textContent = waiting ? `Saving ${waiting}…` : at + who;
    document.body.dataset.unsaved = String(waiting);
  }
}
