/** The films of the folder: which are shown, in which order, and which comes next. */

import { filteredFilms, sortedFilms, unsettled } from "./case_state.js";
import { byId } from "./elements.js";
import { drawFilmList } from "./panels.js";

export class FilmList {
  lines = []; // of all films, by their ids
  #api;

  constructor(api) {
    this.#api = api;
  }

  /** Throws an Error with the server's sentence. */
  async refresh(current) {
    this.lines = await this.#api.get("/api/cases");
    this.draw(current);
  }

  get #sorted() {
    return sortedFilms(this.lines, byId("film-order").value);
  }

  get visible() {
    return filteredFilms(this.#sorted, byId("film-filter").value);
  }

  /** The first film to do; undefined where all are done. */
  get firstOpen() {
    return this.#sorted.find((film) => film.state === "open");
  }

  get numReviewed() {
    return this.lines.filter((film) => film.state !== "open").length;
  }

  /** The film ``by`` places on; undefined at either end. */
  neighbour(current, by) {
    const shown = this.visible;
    const place = shown.findIndex((film) => film.id === current);
    return place < 0 ? shown[0] : shown[place + by];
  }

  /** The film that is open stays in the list even where the filter hides it. */
  draw(current) {
    const shown = this.visible;
    const isHidden = current !== null && !shown.some((film) => film.id === current);
    drawFilmList(isHidden ? [...shown, this.lines[current]] : shown, current);
  }

  /** What a film's line says, after changes that the server may not have yet. */
  update(film) {
    const line = this.lines[film.id];
    if (!line) return;
    const unsure = film.landmarks.filter((landmark) => landmark.state === "unsure").length;
    Object.assign(line, { state: film.state, flagged: film.flagged, unsettled: unsettled(film).length, unsure });
  }
}
